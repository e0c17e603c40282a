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
#include "train/record_reader.h"
#include "train/task.h"
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
    tuff_record_reader file;
    const tuff_tokenizer *tokenizer;
    const char *prompts[2]; /* of the first column, of the others; NULL: none */
    columns columns;
    tuff_view values[TUFF_RECORD_FIELDS]; /* of the record at hand: its texts, then its score */
    tuff_embedding_data *own;
    size_t room, begins_room, scores_room;
    tuff_buf joined;
} reading;

/* Scores of another range are a mistake about all of them. */
static tuff_status check_score(reading *r, double score)
{
    const tuff_vector_loss_kind loss = r->own->loss;
    const bool good = loss == TUFF_VECTOR_LOSS_COSINE        ? score >= -1 && score <= 1
                      : loss == TUFF_VECTOR_LOSS_CONTRASTIVE ? score == 0 || score == 1
                                                             : fabs(score) <= FLT_MAX;
    if (good) return TUFF_OK;
    r->file.refused = true;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT, "%s, line %llu: its score is %g%s", r->file.path,
        (unsigned long long)tuff_records_line(r->file.records), score,
        loss == TUFF_VECTOR_LOSS_COSINE
            ? ", but the loss cosine compares it with a cosine: expected -1 to 1; divide scores from 0 to 5 "
              "by 5, or take the loss cosent, which only looks at their order"
        : loss == TUFF_VECTOR_LOSS_CONTRASTIVE
            ? "; the loss contrastive expects 1 for texts that belong together and 0 for others"
            : ", which is more than a number of 32 bits can be");
}

static tuff_status add_score(reading *r)
{
    const tuff_view text = r->values[r->columns.n];
    bool is = false;
    double score = 0;
    TUFF_TRY(tuff_pairs_number(text, &is, &score));
    if (!is)
        return tuff_record_reader_fail(&r->file, "its \"%s\" is \"%.*s\", expected a number such as 4.5",
                                       r->columns.score, (int)(text.size < 40 ? text.size : 40), text.data);
    TUFF_TRY(check_score(r, score));
    if (!tuff_grow((void **)&r->own->scores, (size_t)r->own->rows, &r->scores_room, sizeof *r->own->scores))
        return tuff_fail_memory("scores of pairs");
    r->own->scores[r->own->rows] = (float)score;
    return TUFF_OK;
}

static tuff_status add_ids(reading *r, const tuff_encoding *e)
{
    tuff_dataset *data = r->file.data;
    size_t wanted = (size_t)data->tokens + e->count;
    if (wanted > r->room) {
        size_t room = wanted > 2 * r->room ? wanted : 2 * r->room;
        int32_t *ids = tuff_realloc_array(data->ids, room, sizeof *ids);
        if (!ids) return tuff_fail_memory("token ids");
        data->ids = ids;
        r->room = room;
    }
    if (e->count) memcpy(data->ids + data->tokens, e->ids, e->count * sizeof *e->ids);
    data->tokens += (int64_t)e->count;
    r->own->truncated += e->lost[0] > 0;
    return TUFF_OK;
}

static tuff_status add_text(reading *r, size_t column)
{
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    const tuff_view text = r->values[column];
    const char *prompt = r->prompts[column > 0], *name = r->columns.names[column];
    tuff_embedding_data *own = r->own;
    const size_t at = (size_t)own->rows * r->columns.n + column;
    if (!text.size) return tuff_record_reader_fail(&r->file, "its \"%s\" is empty", name);
    tuff_buf_clear(&r->joined);
    if (prompt) tuff_buf_text(&r->joined, prompt);
    tuff_buf_bytes(&r->joined, text.data, text.size);
    if (r->joined.failed) return tuff_fail_memory("a text with its prompt");
    params.flags = TUFF_ENCODE_ADD_SPECIAL | TUFF_ENCODE_PLAIN_SPECIAL;
    params.max_length = (uint32_t)tuff_embedder_max_length(own->settings);
    tuff_encoding *e = NULL;
    TUFF_TRY(tuff_tokenizer_encode_pair(r->tokenizer, (tuff_piece){r->joined.data, r->joined.size},
                                        (tuff_piece){NULL, 0}, &params, &e));
    tuff_status status =
        e->count ? add_ids(r, e) : tuff_record_reader_fail(&r->file, "its \"%s\" has no tokens", name);
    tuff_encoding_destroy(&e);
    if (status == TUFF_OK && !tuff_grow((void **)&own->begins, at + 1, &r->begins_room, sizeof *own->begins))
        status = tuff_fail_memory("pairs of texts");
    if (status == TUFF_OK) own->begins[at + 1] = r->file.data->tokens;
    return status;
}

static tuff_status add_row(reading *r)
{
    if (r->columns.score) TUFF_TRY(add_score(r));
    for (size_t c = 0; c < r->columns.n; c++)
        TUFF_TRY(add_text(r, c));
    r->own->rows++;
    return TUFF_OK;
}

static tuff_status take(void *own, bool *out_there)
{
    reading *r = own;
    const int64_t truncated = r->own->truncated;
    TUFF_TRY(
        tuff_record_reader_next(&r->file, r->columns.n + (r->columns.score != NULL), r->values, out_there));
    if (!*out_there) return TUFF_OK;
    const tuff_status status = add_row(r);
    if (status != TUFF_OK) r->own->truncated = truncated;
    return status;
}

static tuff_status add_rows(reading *r)
{
    const char *fields[TUFF_RECORD_FIELDS];
    const columns *c = &r->columns;
    tuff_embedding_data *own = r->own;
    for (size_t i = 0; i < c->n; i++)
        fields[i] = c->names[i];
    fields[c->n] = c->score;
    own->columns = (int64_t)c->n;
    if (!tuff_grow((void **)&own->begins, 0, &r->begins_room, sizeof *own->begins))
        return tuff_fail_memory("pairs of texts");
    own->begins[0] = 0;
    TUFF_TRY(tuff_records_open(r->file.path, TUFF_RECORDS_AUTO, fields, c->n + (c->score != NULL),
                               &r->file.records));
    TUFF_TRY(tuff_record_reader_run(&r->file, take, r));
    return tuff_record_reader_end(&r->file, own->rows);
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
    TUFF_TRY(choose_columns(&r->columns, r->file.path, r->own->loss));
    TUFF_TRY(tuff_model_get_tokenizer(model, &r->tokenizer));
    choose_prompts(r, p);
    return add_rows(r);
}

/* Into an empty data set of the task, which owns what was read so far also after a failure. */
static tuff_status load_into(const tuff_model *model, const char *path, const tuff_pair_params *p,
                             tuff_dataset *data)
{
    reading r = {.file = {.path = path, .watch = p->watch, .strict = p->strict, .data = data}};
    data->own = r.own = tuff_alloc(sizeof *r.own);
    if (!r.own) return tuff_fail_memory("a data set");
    tuff_status status = load(&r, model, p);
    tuff_records_close(&r.file.records);
    tuff_buf_free(&r.columns.text);
    tuff_buf_free(&r.joined);
    return status;
}

tuff_status tuff_embedding_load(const tuff_model *model, const char *path, const tuff_data_params *params,
                                tuff_dataset *data)
{
    tuff_pair_params p = TUFF_PAIR_PARAMS_INIT;
    p.max_length = params->max_length;
    p.watch = params->watch;
    p.strict = params->strict;
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
    tuff_dataset *data = tuff_alloc(sizeof *data);
    if (!data) return tuff_fail_memory("a data set");
    data->task = &tuff_task_embedding;
    tuff_status status = load_into(model, path, &p, data);
    if (status != TUFF_OK)
        tuff_dataset_destroy(&data);
    else
        *out_dataset = data;
    return status;
}

void tuff_embedding_release(tuff_dataset *data)
{
    tuff_embedding_data *own = data->own;
    if (!own) return;
    tuff_embedder_destroy(&own->settings);
    tuff_free(own->begins);
    tuff_free(own->scores);
    tuff_free(own);
    data->own = NULL;
}
