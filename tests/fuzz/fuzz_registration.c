/*
 * Any bytes as a registration, posted and in-band: refused with a message, or every function is canonical and has what the
 * engine relies on.
 */
#include <assert.h>

#include <stepgate/crypto.h>
#include <stepgate/json.h>

#include "sdk/registration.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    assert(sg_crypto_init(NULL) == SG_OK);
    return 0;
}

static bool configured(void *context, struct sg_str app_name, struct sg_str announced_url, struct sg_arena *arena, struct sg_str *url)
{
    (void)context;
    (void)announced_url;
    *url = sg_arena_copy(arena, SG_STR("https://configured.example/x?k=v"));
    return app_name.len % 2 == 1;
}

static void check(const struct sg_registration *registration)
{
    assert(registration->app_name.len > 0 && registration->checksum.len == SG_SHA256_HEX_LEN);
    for (size_t i = 0; i < registration->function_count; i++) {
        const struct sg_function_in *function = &registration->functions[i];
        struct sg_buf again = {0};
        assert(sg_json_canonicalize(function->config, NULL, &again, NULL) == SG_OK);
        assert(sg_str_eq(sg_buf_str(&again), function->config));
        sg_buf_free(&again);
        assert(!sg_id_is_null(function->id));
        assert(sg_json_count(sg_json_get(function->config, SG_STR("steps"))) == 1);
        assert(sg_json_count(sg_json_get(function->config, SG_STR("triggers"))) <= SG_LIMIT_TRIGGERS_PER_FUNCTION);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sg_str body = {(const char *)data, size};
    struct sg_registration_options options = {configured, NULL};
    for (int i = 0; i < 2; i++) {
        struct sg_arena arena = {0};
        struct sg_registration registration;
        struct sg_registration_report report = {0};
        struct sg_error error = {0};
        enum sg_status status = i == 0 ? sg_registration_decode(body, &options, &arena, &registration, &report, &error)
                                       : sg_registration_decode_in_band(body, NULL, &arena, &registration, &report, &error);
        assert(status != SG_NO_MEMORY);
        if (status == SG_OK)
            check(&registration);
        else
            assert(error.message[0] != '\0');
        sg_arena_free(&arena);
    }
    return 0;
}
