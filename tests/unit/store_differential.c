/*
 * The two stores against each other: the same random writes to both, then the same random reads of every shape, which must show
 * the same text. Keys are drawn from few, so that replacing, deleting and equal index values are common.
 */
#include "store_fixture.h"

#include "base/check.h"
#include "base/rng.h"
#include "store/backend.h"

#include <stdio.h>
#include <string.h>

#define BATCHES 60
#define WRITES_MAX 12
#define READS 25
#define BYTES_MAX 8
#define LARGE_MAX 70000

/* Kinds of every make: INT key, ID and TEXT keys, with indexes and without. */
static const enum sg_kind kinds[] = {SG_KIND_EVENT, SG_KIND_MEMO, SG_KIND_IDEMPOTENCY, SG_KIND_SETTING, SG_KIND_GATE, SG_KIND_RUN};

struct bytes_pool {
    char bytes[2000][BYTES_MAX];
    size_t used;
};

static char large[LARGE_MAX];

static struct sg_value random_value(struct sg_rng *rng, enum sg_column_type type, struct bytes_pool *pool)
{
    if (type == SG_TYPE_INT)
        return sg_value_int((int64_t)sg_rng_below(rng, 7) - 2);
    if (type == SG_TYPE_ID)
        return sg_value_id(id_of((uint8_t)sg_rng_below(rng, 5)));
    if (type == SG_TYPE_BLOB && sg_rng_below(rng, 3) == 0) {
        static const size_t sizes[] = {850, 851, 3000, 9000, LARGE_MAX};
        size_t offset = (size_t)sg_rng_below(rng, 5);
        return sg_value_bytes((struct sg_str){large + offset, sizes[sg_rng_below(rng, SG_ARRAY_LEN(sizes))] - offset});
    }

    assert(pool->used < SG_ARRAY_LEN(pool->bytes));
    char *bytes = pool->bytes[pool->used++];
    size_t len = (size_t)sg_rng_below(rng, 3);
    for (size_t i = 0; i < len; i++)
        bytes[i] = "\0ab\x7f"[sg_rng_below(rng, 4)];
    return sg_value_bytes((struct sg_str){bytes, len});
}

static struct sg_write random_write(struct sg_rng *rng, struct bytes_pool *pool)
{
    struct sg_write write = {.op = (enum sg_write_op)sg_rng_below(rng, 4)};
    write.record.kind = kinds[sg_rng_below(rng, SG_ARRAY_LEN(kinds))];
    const struct sg_kind_info *info = sg_kind_info(write.record.kind);

    if (write.op == SG_WRITE_DELETE_PREFIX && sg_rng_below(rng, 3) > 0)
        write.op = SG_WRITE_PUT; /* else the stores are empty most of the time */
    write.prefix_columns = 1 + (int)sg_rng_below(rng, (uint64_t)info->key_columns);
    for (int i = 0; i < SG_COLUMNS_MAX; i++) {
        bool is_null = i >= info->column_count || (i >= info->key_columns && sg_rng_below(rng, 4) == 0);
        write.record.values[i] = is_null ? sg_value_null() : random_value(rng, info->columns[i].type, pool);
    }
    return write;
}

static struct sg_query random_query(struct sg_rng *rng, struct bytes_pool *pool)
{
    struct sg_query query = {.kind = kinds[sg_rng_below(rng, SG_ARRAY_LEN(kinds))]};
    const struct sg_kind_info *info = sg_kind_info(query.kind);

    query.index = (int)sg_rng_below(rng, (uint64_t)info->index_count + 1) - 1;
    struct sg_store_order order = sg_store_order(query.kind, query.index);
    query.equal_count = (int)sg_rng_below(rng, (uint64_t)(order.count < 2 ? order.count : 2) + 1);
    for (int i = 0; i < query.equal_count; i++)
        query.equal[i] = random_value(rng, info->columns[order.columns[i]].type, pool);
    if (query.equal_count < order.count) {
        enum sg_column_type type = info->columns[order.columns[query.equal_count]].type;
        query.has_after = sg_rng_below(rng, 2) == 0;
        query.after = random_value(rng, type, pool);
        query.has_before = sg_rng_below(rng, 2) == 0;
        query.before = random_value(rng, type, pool);
    }
    query.is_descending = sg_rng_below(rng, 2) == 0;
    query.limit = (int64_t)sg_rng_below(rng, 6);
    return query;
}

static void compare_reads(struct sg_rng *rng, struct fixture *memory, struct fixture *sqlite)
{
    static struct bytes_pool pool;

    pool.used = 0;
    for (int i = 0; i < READS; i++) {
        struct sg_query query = random_query(rng, &pool);
        assert_text(read_all(memory, &query), read_all(sqlite, &query));
    }
    for (size_t i = 0; i < SG_ARRAY_LEN(kinds); i++)
        assert_text(scan(memory, kinds[i]), scan(sqlite, kinds[i]));
}

static void run_seed(uint64_t seed)
{
    static struct bytes_pool pool;
    struct fixture memory;
    struct fixture sqlite;
    struct sg_rng rng;

    sg_rng_init(&rng, seed);
    fixture_open_memory(&memory);
    fixture_open_sqlite(&sqlite);
    for (int batch = 0; batch < BATCHES; batch++) {
        struct sg_write writes[WRITES_MAX];
        size_t count = 1 + (size_t)sg_rng_below(&rng, WRITES_MAX);
        pool.used = 0;
        for (size_t i = 0; i < count; i++)
            writes[i] = random_write(&rng, &pool);
        commit_ok(&memory, writes, count);
        commit_ok(&sqlite, writes, count);
        compare_reads(&rng, &memory, &sqlite);
    }
    assert_no_stray_large_value(&sqlite);
    fixture_reopen(&sqlite);
    compare_reads(&rng, &memory, &sqlite);
    fixture_close(&memory);
    fixture_close(&sqlite);
}

Test(store_differential, both_stores_answer_alike)
{
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)(i * i % 251);
    for (uint64_t seed = 1; seed <= 12; seed++)
        run_seed(seed);
}
