#include "train/pairs.h"

#include <math.h>

#include "base/json.h"
#include "base/memory.h"
#include "formats/records.h"

tuff_status tuff_pairs_number(tuff_view text, bool *out_is, double *out)
{
    cJSON *json = NULL;
    *out_is = false;
    tuff_status status = tuff_json_parse(text.data, text.size, "a number", &json);
    if (status == TUFF_OUT_OF_MEMORY) return status;
    *out_is = status == TUFF_OK && cJSON_IsNumber(json) && isfinite(json->valuedouble);
    if (*out_is) *out = json->valuedouble;
    cJSON_Delete(json);
    return TUFF_OK;
}

static tuff_status reserve(tuff_pairs *p, bool scored)
{
    if (p->rows < p->room) return TUFF_OK;
    size_t room = p->room ? 2 * p->room : 256;
    size_t *ends = tuff_realloc_array(p->ends, room, p->columns * sizeof *ends);
    if (!ends) return tuff_fail_memory("pairs of texts");
    p->ends = ends;
    if (scored) {
        double *scores = tuff_realloc_array(p->scores, room, sizeof *scores);
        if (!scores) return tuff_fail_memory("scores of pairs");
        p->scores = scores;
    }
    p->room = room;
    return TUFF_OK;
}

static tuff_status add_row(tuff_pairs *p, const tuff_view *values, const char *score, const char *path,
                           uint64_t line)
{
    TUFF_TRY(reserve(p, score != NULL));
    for (size_t c = 0; c < p->columns; c++) {
        tuff_buf_bytes(&p->text, values[c].data, values[c].size);
        p->ends[p->rows * p->columns + c] = p->text.size;
    }
    if (p->text.failed) return tuff_fail_memory("pairs of texts");
    bool is = true;
    if (score) TUFF_TRY(tuff_pairs_number(values[p->columns], &is, &p->scores[p->rows]));
    if (!is) {
        tuff_view found = values[p->columns];
        return tuff_fail(
            TUFF_BAD_FORMAT, "%s, line %llu: its \"%s\" is \"%.*s\", expected a number such as 4.5", path,
            (unsigned long long)line, score, (int)(found.size < 40 ? found.size : 40), found.data);
    }
    p->rows++;
    return TUFF_OK;
}

tuff_status tuff_pairs_read(const char *path, const char *const *columns, size_t n, const char *score,
                            tuff_pairs *out_pairs)
{
    const char *fields[TUFF_RECORD_FIELDS];
    tuff_view values[TUFF_RECORD_FIELDS];
    tuff_records *records = NULL;
    size_t all = n + (score ? 1 : 0);
    *out_pairs = (tuff_pairs){.columns = n};
    if (all > TUFF_RECORD_FIELDS)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%zu columns of %s are asked for, at most %d can be", all,
                         path, TUFF_RECORD_FIELDS);
    for (size_t i = 0; i < all; i++)
        fields[i] = i < n ? columns[i] : score;
    bool there = true;
    tuff_status status = tuff_records_open(path, TUFF_RECORDS_AUTO, fields, all, &records);
    while (status == TUFF_OK && there) {
        status = tuff_records_next(records, values, &there);
        if (status == TUFF_OK && there)
            status = add_row(out_pairs, values, score, path, tuff_records_line(records));
    }
    tuff_records_close(&records);
    if (status != TUFF_OK) tuff_pairs_free(out_pairs);
    return status;
}

void tuff_pairs_free(tuff_pairs *pairs)
{
    tuff_buf_free(&pairs->text);
    tuff_free(pairs->ends);
    tuff_free(pairs->scores);
    *pairs = (tuff_pairs){0};
}

tuff_view tuff_pairs_at(const tuff_pairs *pairs, size_t row, size_t column)
{
    size_t at = row * pairs->columns + column, begin = at ? pairs->ends[at - 1] : 0;
    return (tuff_view){pairs->text.data ? pairs->text.data + begin : "", pairs->ends[at] - begin};
}
