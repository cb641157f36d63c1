dnl STEPGATE_TRY_FLAG(LANGUAGE, FLAG, VARIABLE)
dnl Appends FLAG to VARIABLE if the compiler of LANGUAGE (C or C++) takes it without a complaint.
AC_DEFUN([STEPGATE_TRY_FLAG], [
    AC_LANG_PUSH([$1])
    AC_MSG_CHECKING([whether the $1 compiler takes $2])
    m4_case([$1], [C], [stepgate_saved_flags=$CFLAGS; CFLAGS="$CFLAGS -Werror $2"],
                       [stepgate_saved_flags=$CXXFLAGS; CXXFLAGS="$CXXFLAGS -Werror $2"])
    AC_COMPILE_IFELSE([AC_LANG_SOURCE([int stepgate_flag_test;])],
        [AC_MSG_RESULT([yes]); $3="${$3:+$$3 }$2"],
        [AC_MSG_RESULT([no])])
    m4_case([$1], [C], [CFLAGS=$stepgate_saved_flags], [CXXFLAGS=$stepgate_saved_flags])
    AC_LANG_POP([$1])
])

dnl STEPGATE_PTHREAD: threads are a flag of the compiler on every platform that is supported (Linux).
AC_DEFUN([STEPGATE_PTHREAD], [
    PTHREAD_FLAGS=-pthread
    AC_SUBST([PTHREAD_FLAGS])
])
