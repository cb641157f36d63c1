/* The schema of a database: made, checked, or brought up to the version that this program writes. */
#ifndef STEPGATE_STORE_SQLITE_SCHEMA_H
#define STEPGATE_STORE_SQLITE_SCHEMA_H

#include <stepgate/store.h>

#include <sqlite3.h>

/* What a version's data needs beyond new tables, columns and indexes, which are found by themselves. */
struct sg_sqlite_migration {
    int64_t from_version;
    const char *sql; /* NULL ends a list */
};
extern const struct sg_sqlite_migration sg_sqlite_migrations[];

/* The file in `directory` that keeps a database as it was before it was migrated from `version`. */
#define SG_SQLITE_BACKUP_FORMAT "%s/main.db.v%lld"

/* Whether this is our database, or an empty file that may become it: asked before anything is changed. */
enum sg_status sg_sqlite_schema_recognize(sqlite3 *db, struct sg_error *error);
/*
 * Makes, checks or migrates. SG_STORE_NEWER for a version above ours, SG_STORE_CORRUPT for tables that are not what their version
 * says. A migration that fails leaves the database as it was.
 */
enum sg_status sg_sqlite_schema_open(sqlite3 *db, const char *directory, const struct sg_sqlite_migration *migrations,
                                     struct sg_error *error);

#endif
