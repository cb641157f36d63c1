/*
 * Regular expressions: RE2 behind a C interface, the only C++ in the tree.
 *
 * RE2 is what the language means by `matches` and runs in time linear in the text whatever the pattern. Nothing thrown in
 * here may reach C: the only thing that is thrown is that memory ran out.
 */
#include "cel/regex.h"

#include <cstdio>
#include <new>

#include <re2/re2.h>

struct sg_cel_regex {
    explicit sg_cel_regex(const re2::StringPiece &pattern, const RE2::Options &options) : re(pattern, options)
    {
    }
    RE2 re;
};

extern "C" enum sg_status sg_cel_regex_compile(struct sg_str pattern, size_t bytes_max, struct sg_cel_regex **regex, char *message,
                                               size_t message_size)
{
    *regex = nullptr;
    try {
        RE2::Options options;
        options.set_log_errors(false);
        options.set_never_capture(true);
        options.set_max_mem(static_cast<int64_t>(bytes_max));
        sg_cel_regex *made = new sg_cel_regex(re2::StringPiece(pattern.ptr, pattern.len), options);
        if (made->re.ok()) {
            *regex = made;
            return SG_OK;
        }
        std::snprintf(message, message_size, "error parsing regexp: %s", made->re.error().c_str());
        delete made;
        return SG_INVALID_EXPRESSION;
    } catch (const std::bad_alloc &) {
        std::snprintf(message, message_size, "out of memory");
        return SG_NO_MEMORY;
    }
}

extern "C" void sg_cel_regex_free(struct sg_cel_regex *regex)
{
    delete regex;
}

extern "C" bool sg_cel_regex_is_found(const struct sg_cel_regex *regex, struct sg_str text)
{
    try {
        return RE2::PartialMatch(re2::StringPiece(text.ptr, text.len), regex->re);
    } catch (const std::bad_alloc &) {
        return false;
    }
}

extern "C" size_t sg_cel_regex_size(const struct sg_cel_regex *regex)
{
    return static_cast<size_t>(regex->re.ProgramSize());
}
