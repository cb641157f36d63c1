/* Text to tokens (reference/05 §2.1). */
#ifndef STEPGATE_CEL_LEX_H
#define STEPGATE_CEL_LEX_H

#include <stepgate/cel.h>

#include "cel/problem.h"

enum sg_cel_token_kind {
    SG_CEL_T_END,
    SG_CEL_T_IDENT,
    SG_CEL_T_QUOTED_IDENT, /* `a-b`: recognised to be refused */
    SG_CEL_T_INT,
    SG_CEL_T_UINT,
    SG_CEL_T_FLOAT,
    SG_CEL_T_STRING,
    SG_CEL_T_BYTES,
    SG_CEL_T_TRUE,
    SG_CEL_T_FALSE,
    SG_CEL_T_NULL,
    SG_CEL_T_IN,
    SG_CEL_T_EQUAL,
    SG_CEL_T_NOT_EQUAL,
    SG_CEL_T_LESS,
    SG_CEL_T_LESS_EQUAL,
    SG_CEL_T_GREATER,
    SG_CEL_T_GREATER_EQUAL,
    SG_CEL_T_AND,
    SG_CEL_T_OR,
    SG_CEL_T_OPEN_BRACKET,
    SG_CEL_T_CLOSE_BRACKET,
    SG_CEL_T_OPEN_BRACE,
    SG_CEL_T_CLOSE_BRACE,
    SG_CEL_T_OPEN_PAREN,
    SG_CEL_T_CLOSE_PAREN,
    SG_CEL_T_DOT,
    SG_CEL_T_COMMA,
    SG_CEL_T_MINUS,
    SG_CEL_T_NOT,
    SG_CEL_T_QUESTION,
    SG_CEL_T_PLUS,
    SG_CEL_T_COLON,
    SG_CEL_T_STAR,
    SG_CEL_T_SLASH,
    SG_CEL_T_PERCENT
};

struct sg_cel_token {
    enum sg_cel_token_kind kind;
    uint32_t position;
    uint32_t len;
};

struct sg_cel_tokens {
    struct sg_cel_token *items; /* the last one is SG_CEL_T_END */
    size_t count;
};

/*
 * Cuts the whole text. Bytes that are no token become problems and are skipped, so there is always a list, unless memory runs
 * out. `is_lenient` takes an escape that CEL does not know ('\d') as the two characters it is made of (reference/05 §4.9).
 */
enum sg_status sg_cel_lex(struct sg_str text, bool is_lenient, struct sg_arena *arena, struct sg_cel_tokens *tokens,
                          struct sg_cel_problems *problems);

/*
 * The value of a literal token: STRING and BYTES unescaped into the arena, INT, UINT and FLOAT (with its sign in front).
 * NULL, or the message of the problem ("invalid int literal").
 */
const char *sg_cel_literal_decode(struct sg_str text, enum sg_cel_token_kind kind, bool is_negative, struct sg_arena *arena,
                                  struct sg_cel_value *value);

#endif
