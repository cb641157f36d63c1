/* Everything that protocol/vectors/signing.json says. */
#include "crypto_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <stepgate/json.h>

static json_t *vectors;

static void load(void)
{
    char path[4096];
    json_error_t error;
    start();
    snprintf(path, sizeof(path), "%s/protocol/vectors/signing.json", SG_TEST_SRCDIR);
    vectors = json_load_file(path, 0, &error);
    cr_assert(vectors != NULL, "%s", error.text);
}

static void unload(void)
{
    json_decref(vectors);
}

TestSuite(vectors, .init = load, .fini = unload);

static struct sg_str text_of(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    cr_assert(not(json_string_value(value) == NULL), "%s", key);
    return (struct sg_str){json_string_value(value), json_string_length(value)};
}

Test(vectors, bodies_are_canonical_and_signatures_exact)
{
    size_t index;
    json_t *vector;
    cr_assert(json_array_size(json_object_get(vectors, "signatures")) >= 6);
    json_array_foreach(json_object_get(vectors, "signatures"), index, vector)
    {
        struct sg_signing_key key = key_of(text_of(vector, "key").ptr);
        struct sg_str body = text_of(vector, "body");
        struct sg_str expected = text_of(vector, "signature");
        const char *name = text_of(vector, "name").ptr;
        int64_t unix_s = json_integer_value(json_object_get(vector, "t"));
        char text[SG_SIGNATURE_MAX + 1];
        char hex[SG_SHA256_HEX_LEN + 1];

        if (json_object_get(vector, "input") != NULL) {
            struct sg_buf out = {0};
            cr_assert(sg_json_canonicalize(text_of(vector, "input"), NULL, &out, NULL) == SG_OK, "%s", name);
            cr_assert(sg_str_eq(sg_buf_str(&out), body), "%s: %.*s", name, SG_FMT(sg_buf_str(&out)));
            sg_buf_free(&out);
        }
        cr_assert(eq(i64, (int64_t)body.len, json_integer_value(json_object_get(vector, "body_bytes"))));
        cr_assert(sg_sha256_hex(body, hex) && sg_str_eq(sg_str_from(hex), text_of(vector, "body_sha256")), "%s", name);
        size_t len = sg_signature_make(&key, body, unix_s, text);
        cr_assert(sg_str_eq((struct sg_str){text, len}, expected), "%s: %s", name, text);
        cr_assert(eq(sz, strlen(text), len));
        cr_assert(sg_signature_verify(&key, 1, expected, body, unix_s, NULL) == SG_OK, "%s", name);
    }
}

Test(vectors, bearer_values)
{
    size_t index;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "bearer"), index, vector)
    {
        struct sg_signing_key key = key_of(text_of(vector, "key").ptr);
        char hashed[SG_SIGNING_KEY_HASHED_MAX + 1];
        size_t len = sg_signing_key_hashed(&key, hashed);
        cr_assert(sg_str_eq((struct sg_str){hashed, len}, text_of(vector, "hashed")), "%s", hashed);
        cr_assert(eq(sz, strlen(hashed), len));
    }
}

Test(vectors, prefixes)
{
    size_t index;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "prefixes"), index, vector)
    {
        struct sg_str text = text_of(vector, "text");
        size_t len = sg_signing_key_prefix_len(text);
        cr_assert(sg_str_eq((struct sg_str){text.ptr + len, text.len - len}, text_of(vector, "stripped")), "%s", text.ptr);
    }
}

Test(vectors, keys_that_are_refused)
{
    size_t index;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "refused_keys"), index, vector)
    {
        struct sg_str text = text_of(vector, "text");
        struct sg_signing_key key;
        struct sg_error error;
        cr_assert(sg_signing_key_parse(text, "INNGEST_SIGNING_KEY", &key, &error) == SG_INVALID_KEY, "%s", text.ptr);
        cr_assert(strncmp(error.message, "INNGEST_SIGNING_KEY ", 20) == 0, "%s", error.message);
        cr_assert(strstr(error.message, text_of(vector, "because").ptr) != NULL, "%s", error.message);
        cr_assert(text.len == 0 || strstr(error.message, text.ptr) == NULL, "the key is never shown: %s", error.message);
    }
}

Test(vectors, uuids_of_names)
{
    size_t index;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "uuid5_oid"), index, vector)
    {
        char text[SG_UUID_LEN + 1];
        sg_uuid_format(sg_uuid5_oid(text_of(vector, "name")), text);
        cr_assert(sg_str_eq(sg_str_from(text), text_of(vector, "uuid")), "%s", text);
    }
}
