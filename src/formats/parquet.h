/* Tables that Tuff does not read. */
#ifndef TUFF_FORMATS_PARQUET_H
#define TUFF_FORMATS_PARQUET_H

#include <tuff/status.h>

/* TUFF_UNSUPPORTED for a Parquet file, by its name or its first bytes, saying how to make records of it. */
TUFF_MUST_USE tuff_status tuff_refuse_parquet(const char *path);

#endif
