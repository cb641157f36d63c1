/*
 * Runs criterion's tests without criterion's runner.
 *
 * The model. The thread sanitizer and the memory that criterion shares between its processes want the same addresses, so its runner does not start
 * there. The tests do not need it: they register themselves in a section of the program, and what their assertions call is defined here,
 * where the linker finds it before the library. Each test runs in a process of its own and tells by its exit code how it ended; a sanitizer that
 * has something to say ends it with another.
 *
 *     PROGRAM [PART-OF-A-NAME]
 *
 * What it never does: print what was expected and what was found. It says where; an ordinary build says the rest.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_TEST_FAILED 101
#define EXIT_TEST_SKIPPED 102
#define SECONDS_MAX 600 /* of one test: sanitizers are slow */

extern struct criterion_test *__start_cr_tst[];
extern struct criterion_test *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *__stop_cr_sts[] __attribute__((weak));

/* Of the one test that this process is for. */
static const struct criterion_test *current;
static const struct criterion_suite *current_suite;
static atomic_bool has_failed;

/* ---- what tests call ---- */

void criterion_internal_test_setup(void)
{
    if (current_suite != NULL && current_suite->data->init != NULL)
        current_suite->data->init();
    if (current->data->init != NULL)
        current->data->init();
}

void criterion_internal_test_main(void (*test)(void))
{
    test();
}

void criterion_internal_test_teardown(void)
{
    if (current->data->fini != NULL)
        current->data->fini();
    if (current_suite != NULL && current_suite->data->fini != NULL)
        current_suite->data->fini();
}

void criterion_abort_test(void)
{
    _exit(EXIT_TEST_FAILED);
}

void criterion_continue_test(void)
{
    atomic_store(&has_failed, true);
}

void criterion_skip_test(const char *format, ...)
{
    (void)format;
    _exit(EXIT_TEST_SKIPPED);
}

static void say_where(const char *file, unsigned line, const char *message)
{
    fprintf(stderr, "%s:%u: %s/%s: an assertion failed: %s\n", file, line, current->category, current->name,
            message != NULL ? message : "");
}

void criterion_send_assert(struct criterion_assert_stats *stats)
{
    if (!stats->passed)
        say_where(stats->file, stats->line, stats->message);
}

void cri_asserts_passed_incr(void)
{
}

char *cri_assert_message(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    return text;
}

void cri_assert_node_init(struct cri_assert_node *node)
{
    memset(node, 0, sizeof(*node));
}

struct cri_assert_node *cri_assert_node_add(struct cri_assert_node *tree, struct cri_assert_node *node)
{
    static _Thread_local struct cri_assert_node unused;
    (void)tree;
    unused = *node;
    return &unused;
}

void cri_assert_node_negate(struct cri_assert_node *node)
{
    (void)node;
}

void cri_assert_node_send(const char *file, size_t line, struct cri_assert_node *node)
{
    say_where(file, (unsigned)line, node->message != NULL && node->message[0] == 'x' ? node->message + 1 : NULL);
}

void cri_assert_node_term(struct cri_assert_node *node)
{
    (void)node;
}

/* ---- running ---- */

static const struct criterion_suite *suite_of(const struct criterion_test *test)
{
    for (struct criterion_suite **suite = __start_cr_sts; suite != NULL && suite < __stop_cr_sts; suite++)
        if (*suite != NULL && strcmp((*suite)->name, test->category) == 0)
            return *suite;
    return NULL;
}

/* How it ended, as waitpid says. */
static int run(const struct criterion_test *test)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return -1;
    if (pid == 0) {
        current = test;
        current_suite = suite_of(test);
        alarm(SECONDS_MAX);
        test->test();
        exit(atomic_load(&has_failed) ? EXIT_TEST_FAILED : 0); /* by way of what sanitizers look at in the end */
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

static bool is_as_expected(const struct criterion_test *test, int status)
{
    if (test->data->signal != 0)
        return WIFSIGNALED(status) && WTERMSIG(status) == test->data->signal;
    return WIFEXITED(status) && WEXITSTATUS(status) == test->data->exit_code;
}

int main(int argc, char **argv)
{
    int passed = 0;
    int failed = 0;
    for (struct criterion_test **at = __start_cr_tst; at < __stop_cr_tst; at++) {
        const struct criterion_test *test = *at;
        if (test == NULL || test->data->disabled || (argc > 1 && strstr(test->data->identifier_, argv[1]) == NULL))
            continue;
        int status = run(test);
        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_TEST_SKIPPED) {
            printf("skipped: %s\n", test->data->identifier_);
        } else if (is_as_expected(test, status)) {
            passed++;
        } else {
            printf("failed: %s (%s %d)\n", test->data->identifier_, WIFSIGNALED(status) ? "signal" : "exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            failed++;
        }
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
