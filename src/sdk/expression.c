/*
 * Whether a text of a function's configuration is an expression or a cron schedule.
 *
 * The model. The sdk room knows which texts are expressions and how strictly each is checked (reference/05 §1.2); the cel room knows the
 * language. This is the only place where they meet, so that everything else here can be read and tested without it.
 */
#include "sdk/expression.h"

#include <stepgate/cel.h>

#include "base/check.h"

enum sg_status sg_expression_check(struct sg_str text, enum sg_expression_use use, struct sg_error *error)
{
    static const enum sg_cel_check checks[] = {
        [SG_EXPRESSION_KEY] = SG_CEL_CHECK_PARSE,
        [SG_EXPRESSION_CONDITION] = SG_CEL_CHECK_FULL,
        [SG_EXPRESSION_CANCEL] = SG_CEL_CHECK_RESTRICTED,
    };
    assert((size_t)use < SG_ARRAY_LEN(checks));
    struct sg_cel_program *program = NULL;
    enum sg_status status = sg_cel_compile(text, checks[use], &program, error);
    sg_cel_program_free(program);
    return status;
}

/* ---- cron ---- */

/* The values that a field may have, and the names of its first ones. */
struct cron_field {
    int min;
    int max;
    const char *names; /* three letters each, in order from `min`; NULL: numbers only */
};

static bool read_value(struct sg_str text, const struct cron_field *field, int *value)
{
    int64_t number;
    if (text.len > 0 && text.ptr[0] != '-' && sg_str_to_int(text, &number)) {
        *value = (int)number;
        return number >= field->min && number <= field->max;
    }
    for (int i = field->min; field->names != NULL && i <= field->max; i++) {
        if (sg_str_eq_nocase(text, (struct sg_str){field->names + (ptrdiff_t)(i - field->min) * 3, 3})) {
            *value = i;
            return true;
        }
    }
    return false;
}

/* `*`, `?`, `a`, `a-b`, each with an optional `/n`. */
static bool is_cron_item(struct sg_str item, const struct cron_field *field)
{
    ptrdiff_t slash = sg_str_index(item, '/');
    if (slash >= 0) {
        int64_t step;
        struct sg_str text = {item.ptr + slash + 1, item.len - (size_t)slash - 1};
        if (text.len == 0 || text.ptr[0] == '-' || !sg_str_to_int(text, &step) || step < 1)
            return false;
        item.len = (size_t)slash;
    }
    if (sg_str_eq(item, SG_STR("*")) || sg_str_eq(item, SG_STR("?")))
        return true;
    ptrdiff_t dash = sg_str_index(item, '-');
    int first;
    int last;
    if (dash < 0)
        return read_value(item, field, &first);
    return read_value((struct sg_str){item.ptr, (size_t)dash}, field, &first) &&
           read_value((struct sg_str){item.ptr + dash + 1, item.len - (size_t)dash - 1}, field, &last) && first <= last;
}

static bool is_cron_field(struct sg_str text, const struct cron_field *field)
{
    while (true) {
        ptrdiff_t comma = sg_str_index(text, ',');
        struct sg_str item = {text.ptr, comma < 0 ? text.len : (size_t)comma};
        if (item.len == 0 || !is_cron_item(item, field))
            return false;
        if (comma < 0)
            return true;
        text = (struct sg_str){text.ptr + comma + 1, text.len - (size_t)comma - 1};
    }
}

static struct sg_str next_word(struct sg_str *text)
{
    *text = sg_str_trim(*text);
    size_t len = 0;
    while (len < text->len && text->ptr[len] != ' ' && text->ptr[len] != '\t')
        len++;
    struct sg_str word = {text->ptr, len};
    *text = (struct sg_str){text->ptr + len, text->len - len};
    return word;
}

bool sg_cron_text_check(struct sg_str text)
{
    static const struct cron_field fields[] = {
        {0, 59, NULL}, {0, 23, NULL}, {1, 31, NULL}, {1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"}, {0, 6, "sunmontuewedthufrisat"},
    };
    struct sg_str rest = text;
    struct sg_str word = next_word(&rest);
    if (sg_str_starts_with(word, SG_STR("TZ=")) || sg_str_starts_with(word, SG_STR("CRON_TZ="))) {
        if (word.ptr[word.len - 1] == '=')
            return false;
        word = next_word(&rest);
    }
    for (size_t i = 0; i < SG_ARRAY_LEN(fields); i++) {
        if (!is_cron_field(word, &fields[i]))
            return false;
        word = next_word(&rest);
    }
    return word.len == 0;
}
