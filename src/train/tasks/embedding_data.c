/* Files of pairs as examples: which columns a loss wants, what is checked of them, their tokens. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/structs.h"
#include "base/watch.h"
#include "models/model.h"
#include "train/pairs.h"
#include "train/examples.h"
#include "train/tasks/embedding.h"

/* ---- columns ---- */

typedef struct columns {
    tuff_buf text; /* names in the file, each with a NUL behind it */
    size_t count;
    const char *names[TUFF_RECORD_FIELDS]; /* of the texts of a row */
    size_t n;
    const char *score; /* NULL: none */
    bool asymmetric;   /* the first is sought by, the others are found */
} columns;

/* The file's own text of a name; NULL: it has none. */
static const char *find(const columns *c, const char *name)
{
    const char *at = c->text.data;
    for (size_t i = 0; i < c->count; i++, at += strlen(at) + 1)
        if (strcmp(at, name) == 0) return at;
    return NULL;
}

static tuff_status missing(const columns *c, const char *path, const char *name, const char *loss,
                           const char *wanted)
{
    tuff_buf names = {0};
    const char *at = c->text.data;
    for (size_t i = 0; i < c->count && names.size < 200; i++, at += strlen(at) + 1)
        tuff_buf_printf(&names, "%s%.40s", i ? ", " : "", at);
    tuff_status status =
        tuff_fail(TUFF_INVALID_ARGUMENT, "%s has no column \"%s\"; it has %s; the loss %s wants %s", path,
                  name, names.data ? names.data : "none", loss, wanted);
    tuff_buf_free(&names);
    return status;
}

/* "negative", and "negative_1", "negative_2", ... as many as there are. */
static tuff_status add_negatives(columns *c, const char *path, bool just_one)
{
    enum { MOST = TUFF_RECORD_FIELDS - 3 };
    char name[32];
    if (find(c, "negative")) c->names[c->n++] = find(c, "negative");
    for (int i = 1; i <= MOST + 1; i++) {
        snprintf(name, sizeof name, "negative_%d", i);
        const char *found = find(c, name);
        if (!found) break;
        if (c->n == MOST)
            return tuff_fail(TUFF_UNSUPPORTED, "%s has more than %d columns of negatives", path, MOST - 2);
        c->names[c->n++] = found;
    }
    if (just_one && c->n > 3)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s has %zu columns of negatives; the loss triplet takes one, mnrl any number", path,
                         c->n - 2);
    return TUFF_OK;
}

static tuff_status choose_ranked(columns *c, const char *path, tuff_vector_loss_kind loss)
{
    static const char mnrl[] =
        "anchor, positive and, if there are some, negative or negative_1, negative_2, ...",
                      triplet[] = "anchor, positive and negative";
    bool just_one = loss == TUFF_VECTOR_LOSS_TRIPLET;
    const char *name = tuff_vector_loss_name(loss), *wanted = just_one ? triplet : mnrl;
    bool plain = !find(c, "anchor") && find(c, "sentence1") && find(c, "sentence2") && !just_one;
    const char *const two[] = {plain ? "sentence1" : "anchor", plain ? "sentence2" : "positive"};
    for (int i = 0; i < 2; i++) {
        c->names[c->n++] = find(c, two[i]);
        if (!c->names[i]) return missing(c, path, two[i], name, wanted);
    }
    c->asymmetric = !plain;
    if (plain && find(c, "score"))
        tuff_log(
            TUFF_LOG_WARN,
            "%s has scores, which the loss %s does not look at: every pair counts as texts that belong together; "
            "cosent and cosine learn from scores (--loss)",
            path, name);
    if (!plain) TUFF_TRY(add_negatives(c, path, just_one));
    return just_one && c->n < 3 ? missing(c, path, "negative", name, wanted) : TUFF_OK;
}

static tuff_status choose_scored(columns *c, const char *path, tuff_vector_loss_kind loss)
{
    static const char wanted[] = "sentence1, sentence2 and score (or label)";
    static const char *const two[] = {"sentence1", "sentence2"};
    for (int i = 0; i < 2; i++) {
        c->names[c->n++] = find(c, two[i]);
        if (!c->names[i]) return missing(c, path, two[i], tuff_vector_loss_name(loss), wanted);
    }
    c->score = find(c, "score") ? find(c, "score") : find(c, "label");
    return c->score ? TUFF_OK : missing(c, path, "score", tuff_vector_loss_name(loss), wanted);
}

static tuff_status choose_columns(columns *c, const char *path, tuff_vector_loss_kind loss)
{
    TUFF_TRY(tuff_records_names(path, &c->text, &c->count));
    if (!c->count)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s has no columns; pairs of texts are read from JSON lines (.jsonl), CSV or TSV",
                         path);
    return tuff_vector_loss_scored(loss) ? choose_scored(c, path, loss) : choose_ranked(c, path, loss);
}

/* ---- rows ---- */

typedef struct reading {
    tuff_example_reader reader;
    const char *prompts[2]; /* of the first column, of the others; NULL: none */
    columns columns;
    tuff_embedding_data *own;
} reading;

/* Scores of another range are a mistake about all of them. */
static tuff_status check_score(reading *r, double score)
{
    const tuff_vector_loss_kind loss = r->own->loss;
    const bool good = loss == TUFF_VECTOR_LOSS_COSINE        ? score >= -1 && score <= 1
                      : loss == TUFF_VECTOR_LOSS_CONTRASTIVE ? score == 0 || score == 1
                                                             : fabs(score) <= FLT_MAX;
    if (good) return TUFF_OK;
    r->reader.file.refused = true;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT, "%s, line %llu: its score is %g%s", r->reader.file.place,
        (unsigned long long)r->reader.file.line, score,
        loss == TUFF_VECTOR_LOSS_COSINE
            ? ", but the loss cosine compares it with a cosine: expected -1 to 1; divide scores from 0 to 5 "
              "by 5, or take the loss cosent, which only looks at their order"
        : loss == TUFF_VECTOR_LOSS_CONTRASTIVE
            ? "; the loss contrastive expects 1 for texts that belong together and 0 for others"
            : ", which is more than a number of 32 bits can be");
}

static tuff_status add_score(reading *r)
{
    const tuff_view text = r->reader.values[r->columns.n];
    const size_t row = (size_t)tuff_embedding_rows(r->reader.file.data);
    bool is = false;
    double score = 0;
    TUFF_TRY(tuff_pairs_number(text, &is, &score));
    if (!is)
        return tuff_record_reader_fail(&r->reader.file,
                                       "its \"%s\" is \"%.*s\", expected a number such as 4.5",
                                       r->columns.score, (int)(text.size < 40 ? text.size : 40), text.data);
    TUFF_TRY(check_score(r, score));
    const float number = (float)score;
    if (!tuff_column_put(&r->own->room, row * sizeof number, &number, sizeof number))
        return tuff_fail_memory("scores of pairs");
    r->own->scores = r->own->room.data;
    return TUFF_OK;
}

static tuff_status prepare_text(const tuff_example_reader *reader, const reading *r, size_t column,
                                const tuff_encode_params *params, tuff_example_item *item)
{
    const tuff_view none = {0};
    const char *prompt = r->prompts[column > 0];
    tuff_view text = item->values[column];
    tuff_buf joined = {0};
    if (prompt) {
        tuff_buf_text(&joined, prompt);
        tuff_buf_bytes(&joined, text.data, text.size);
        text = (tuff_view){joined.data, joined.size};
    }
    const tuff_status status = joined.failed ? tuff_fail_memory("a text with its prompt")
                                             : tuff_example_item_encode(reader, item, text, none, params);
    tuff_buf_free(&joined);
    return status;
}

static tuff_status prepare(const tuff_example_reader *reader, const void *own, const tuff_watch *watch,
                           tuff_example_item *item)
{
    const reading *r = own;
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    (void)watch;
    params.flags = TUFF_ENCODE_ADD_SPECIAL | TUFF_ENCODE_PLAIN_SPECIAL;
    params.max_length = (uint32_t)reader->max_length;
    for (size_t c = 0; c < r->columns.n && item->values[c].size; c++)
        TUFF_TRY(prepare_text(reader, r, c, &params, item));
    return TUFF_OK;
}

static tuff_status add_text(reading *r, size_t column)
{
    const char *name = r->columns.names[column];
    const tuff_encoding *e = NULL;
    if (!r->reader.values[column].size)
        return tuff_record_reader_fail(&r->reader.file, "its \"%s\" is empty", name);
    TUFF_TRY(tuff_example_reader_next(&r->reader, &e));
    if (!e->count) return tuff_record_reader_fail(&r->reader.file, "its \"%s\" has no tokens", name);
    r->reader.file.data->cut += e->lost[0] > 0;
    return tuff_dataset_add(r->reader.file.data, e->ids, NULL, e->count);
}

static tuff_status take(tuff_example_reader *reader, void *own)
{
    reading *r = own;
    (void)reader;
    if (r->columns.score) TUFF_TRY(add_score(r));
    for (size_t c = 0; c < r->columns.n; c++)
        TUFF_TRY(add_text(r, c));
    return TUFF_OK;
}

/* What the rows depend on, beside the columns. */
static void put_settings(const reading *r, const tuff_pair_params *p, tuff_buf *out)
{
    const columns *c = &r->columns;
    tuff_buf_printf(out, "pairs=%d\nlength=%lld\nstrict=%d\nscored=%d\n", TUFF_RECORDS_FORMAT,
                    (long long)r->reader.max_length, r->reader.file.strict, r->own->loss);
    for (int i = 0; i < 2; i++)
        tuff_buf_printf(out, "prompt=%zu:%s\n", r->prompts[i] ? strlen(r->prompts[i]) : 0,
                        r->prompts[i] ? r->prompts[i] : "");
    for (size_t i = 0; i < c->n; i++)
        tuff_buf_printf(out, "column=%zu:%s\n", strlen(c->names[i]), c->names[i]);
    if (c->score) tuff_buf_printf(out, "score=%s\n", c->score);
    tuff_buf_printf(out, "split=%.17g of %llu, held out=%d\n", p->validation_split,
                    (unsigned long long)p->split_seed, p->held_out);
}

static tuff_status add_rows(reading *r, const tuff_pair_params *p)
{
    const char *fields[TUFF_RECORD_FIELDS];
    const columns *c = &r->columns;
    tuff_record_reader *file = &r->reader.file;
    for (size_t i = 0; i < c->n; i++)
        fields[i] = c->names[i];
    fields[c->n] = c->score;
    r->own->columns = (int64_t)c->n;
    r->own->room.stays = file->data->room.ids.stays;
    r->reader.n = c->n + (c->score != NULL);
    r->reader.max_length = tuff_embedder_max_length(r->own->settings);
    r->reader.file.threads = p->threads;
    if (!r->own->room.stays) put_settings(r, p, &file->settings);
    TUFF_TRY(tuff_records_open(file->path, TUFF_RECORDS_AUTO, fields, r->reader.n, &file->records));
    TUFF_TRY(tuff_record_reader_take_part(file, p->validation_split, p->split_seed, p->held_out));
    TUFF_TRY(tuff_example_reader_read(&r->reader, &(tuff_example_work){prepare, take}, r));
    return tuff_record_reader_end(file, file->data->sequences);
}

/* ---- settings ---- */

static tuff_status settle(const tuff_model *model, const tuff_pair_params *p, tuff_embedding_data *own)
{
    const char *loss = p->loss ? p->loss : "mnrl";
    own->loss = tuff_vector_loss_find(loss);
    if (own->loss == TUFF_VECTOR_LOSSES)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "there is no loss \"%.40s\"; expected one of %s", loss,
                         tuff_vector_loss_names());
    own->cache = p->gradient_cache_batch;
    if (own->cache < 0 || own->cache > 65536)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "gradient_cache_batch is %lld, expected 0 to 65536",
                         (long long)own->cache);
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    params.pooling = p->pooling;
    params.normalize = p->normalize;
    params.max_length = p->max_length;
    TUFF_TRY(tuff_embedder_settle(model, &params, &own->settings));
    if (own->settings->pooling == TUFF_POOLING_NONE)
        return tuff_fail(TUFF_UNSUPPORTED, "vectors of tokens are not trained; expected a pooling");
    if (own->settings->sentence.denses)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s has dense layers behind the pooling, which are not trained yet; name the model without "
            "them",
            model->path);
    if (own->settings->sentence.skip_prompt)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s leaves prompts out of the pooling (include_prompt false), which training does not do yet",
            model->path);
    return TUFF_OK;
}

/* The prompts that the model's files have for what is sought by and what is found, or for all. */
static void choose_prompts(reading *r, const tuff_pair_params *p)
{
    static const char *const found[] = {"document", "passage", "corpus"};
    const tuff_embedder *e = r->own->settings;
    r->prompts[0] = p->query_prompt;
    r->prompts[1] = p->document_prompt;
    if (!r->columns.asymmetric) {
        for (int i = 0; i < 2; i++)
            if (!r->prompts[i]) r->prompts[i] = tuff_embedder_prompt(e, NULL);
        return;
    }
    if (!r->prompts[0]) r->prompts[0] = tuff_embedder_prompt(e, "query");
    for (size_t i = 0; i < sizeof found / sizeof *found && !r->prompts[1]; i++)
        r->prompts[1] = tuff_embedder_prompt(e, found[i]);
}

static tuff_status load(reading *r, const tuff_model *model, const tuff_pair_params *p)
{
    TUFF_TRY(settle(model, p, r->own));
    TUFF_TRY(choose_columns(&r->columns, r->reader.file.path, r->own->loss));
    TUFF_TRY(tuff_model_get_tokenizer(model, &r->reader.file.tokenizer));
    r->reader.tokenizer = r->reader.file.tokenizer;
    choose_prompts(r, p);
    return add_rows(r, p);
}

/* Into an empty data set of the task, which owns what was read so far also after a failure. */
static tuff_status load_into(const tuff_model *model, const char *path, const tuff_pair_params *p,
                             tuff_dataset *data)
{
    reading r = {.reader = {.file = {.path = path, .watch = p->watch, .strict = p->strict, .data = data}}};
    data->own = r.own = tuff_alloc(sizeof *r.own);
    if (!r.own) return tuff_fail_memory("a data set");
    tuff_status status = load(&r, model, p);
    tuff_example_reader_close(&r.reader);
    tuff_buf_free(&r.columns.text);
    return status;
}

tuff_status tuff_embedding_load(const tuff_model *model, const char *path, const tuff_data_params *params,
                                tuff_dataset *data)
{
    tuff_pair_params p = TUFF_PAIR_PARAMS_INIT;
    p.max_length = params->max_length;
    p.watch = params->watch;
    p.strict = params->strict;
    p.validation_split = params->validation_split;
    p.split_seed = params->split_seed;
    p.threads = params->threads;
    p.no_cache = params->no_cache;
    p.held_out = params->held_out;
    return load_into(model, path, &p, data);
}

tuff_status tuff_dataset_load_pairs(const tuff_model *model, const char *path, const tuff_pair_params *params,
                                    tuff_dataset **out_dataset)
{
    TUFF_NEED_OUT(out_dataset);
    TUFF_NEED(model);
    TUFF_NEED(path);
    tuff_pair_params p = TUFF_PAIR_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_PAIR_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    TUFF_TRY(tuff_dataset_check_split(p.validation_split));
    tuff_status status = TUFF_OK;
    for (bool again = true; again;) {
        tuff_dataset *data = tuff_alloc(sizeof *data);
        if (!data) return tuff_fail_memory("a data set");
        data->task = &tuff_task_embedding;
        tuff_dataset_stay(data, p.no_cache);
        status = tuff_dataset_finish(data, load_into(model, path, &p, data), &again, out_dataset);
    }
    return status;
}

void tuff_embedding_keep(tuff_kept *k, tuff_dataset *data)
{
    tuff_embedding_data *own = data->own;
    bool scores = own->scores != NULL;
    tuff_kept_expect(k, data->sequences % own->columns == 0);
    tuff_kept_flag(k, &scores);
    if (scores) tuff_kept_column(k, &own->room, (size_t)tuff_embedding_rows(data) * sizeof *own->scores);
    own->scores = scores ? own->room.data : NULL;
}

tuff_status tuff_embedding_join(tuff_dataset *into, const tuff_dataset *part)
{
    const tuff_embedding_data *from = part->own;
    const bool first = !into->own;
    if (first && !(into->own = tuff_alloc(sizeof *from))) return tuff_fail_memory("a mixture");
    tuff_embedding_data *own = into->own;
    if (first) {
        *own = (tuff_embedding_data){.settings = from->settings,
                                     .loss = from->loss,
                                     .columns = from->columns,
                                     .settled = part,
                                     .cache = from->cache};
        tuff_dataset_keep(part);
    }
    if (own->loss != from->loss || own->cache != from->cache ||
        own->settings->pooling != from->settings->pooling)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "it was read for another loss or pooling than parts before it");
    if (own->columns != from->columns)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "its rows have %lld texts, those of parts before it %lld",
                         (long long)from->columns, (long long)own->columns);
    if (!from->scores) return TUFF_OK;
    const size_t have = (size_t)tuff_embedding_rows(into), more = (size_t)tuff_embedding_rows(part);
    if (!tuff_column_put(&own->room, have * sizeof *own->scores, from->scores, more * sizeof *own->scores))
        return tuff_fail_memory("a mixture");
    own->scores = own->room.data;
    return TUFF_OK;
}

void tuff_embedding_release(tuff_dataset *data)
{
    tuff_embedding_data *own = data->own;
    if (!own) return;
    if (own->settled)
        tuff_dataset_let_go(own->settled);
    else
        tuff_embedder_destroy(&own->settings);
    tuff_column_free(&own->room);
    tuff_free(own);
    data->own = NULL;
}
