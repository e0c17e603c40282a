/* Files of pairs as examples: which columns a loss wants, what is checked of them, their tokens. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/structs.h"
#include "base/watch.h"
#include "formats/records.h"
#include "models/model.h"
#include "train/pairs.h"
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

static tuff_status check_score(const char *path, size_t row, double score, tuff_vector_loss_kind loss)
{
    if (loss == TUFF_VECTOR_LOSS_COSINE && (score < -1 || score > 1))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s, record %zu: its score is %g, but the loss cosine compares it with a cosine: expected -1 to "
            "1; divide scores from 0 to 5 by 5, or take the loss cosent, which only looks at their order",
            path, row + 1, score);
    if (loss == TUFF_VECTOR_LOSS_CONTRASTIVE && score != 0 && score != 1)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s, record %zu: its score is %g; the loss contrastive expects 1 for texts that belong together "
            "and 0 for others",
            path, row + 1, score);
    return TUFF_OK;
}

typedef struct reading {
    const tuff_tokenizer *tokenizer;
    const char *path;
    const tuff_watch *watch;
    const char *prompts[2]; /* of the first column, of the others; NULL: none */
    tuff_pairs pairs;
    columns columns;
    tuff_dataset *data;
    tuff_embedding_data *own;
    size_t room; /* ids */
    tuff_buf joined;
} reading;

static tuff_status add_ids(reading *r, const tuff_encoding *e)
{
    tuff_dataset *data = r->data;
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

static tuff_status add_text(reading *r, size_t row, size_t column)
{
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    tuff_view text = tuff_pairs_at(&r->pairs, row, column);
    const char *prompt = r->prompts[column > 0];
    if (!text.size)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s, record %zu: its \"%s\" is empty; leave the record out",
                         r->path, row + 1, r->columns.names[column]);
    tuff_buf_clear(&r->joined);
    if (prompt) tuff_buf_text(&r->joined, prompt);
    tuff_buf_bytes(&r->joined, text.data, text.size);
    if (r->joined.failed) return tuff_fail_memory("a text with its prompt");
    params.flags = TUFF_ENCODE_ADD_SPECIAL | TUFF_ENCODE_PLAIN_SPECIAL;
    params.max_length = (uint32_t)tuff_embedder_max_length(r->own->settings);
    tuff_encoding *e = NULL;
    TUFF_TRY(tuff_tokenizer_encode_pair(r->tokenizer, (tuff_piece){r->joined.data, r->joined.size},
                                        (tuff_piece){NULL, 0}, &params, &e));
    tuff_status status = add_ids(r, e);
    if (status == TUFF_OK && !e->count)
        status = tuff_fail(TUFF_INVALID_ARGUMENT, "%s, record %zu: its \"%s\" has no tokens", r->path,
                           row + 1, r->columns.names[column]);
    tuff_encoding_destroy(&e);
    r->own->begins[row * r->columns.n + column + 1] = r->data->tokens;
    return status;
}

static tuff_status add_rows(reading *r)
{
    size_t rows = r->pairs.rows, n = r->columns.n;
    tuff_embedding_data *own = r->own;
    own->rows = (int64_t)rows;
    own->columns = (int64_t)n;
    own->begins = tuff_alloc_array(rows * n + 1, sizeof *own->begins);
    if (r->columns.score) own->scores = tuff_alloc_array(rows, sizeof *own->scores);
    if (!own->begins || (r->columns.score && !own->scores)) return tuff_fail_memory("pairs of texts");
    for (size_t row = 0; row < rows; row++) {
        if (row % 256 == 0) TUFF_TRY(tuff_watch_step(r->watch, TUFF_PHASE_TOKENIZE, row, rows));
        if (r->columns.score) {
            TUFF_TRY(check_score(r->path, row, r->pairs.scores[row], own->loss));
            own->scores[row] = (float)r->pairs.scores[row];
        }
        for (size_t c = 0; c < n; c++)
            TUFF_TRY(add_text(r, row, c));
    }
    return tuff_watch_step(r->watch, TUFF_PHASE_TOKENIZE, rows, rows);
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
    TUFF_TRY(choose_columns(&r->columns, r->path, r->own->loss));
    TUFF_TRY(tuff_model_get_tokenizer(model, &r->tokenizer));
    choose_prompts(r, p);
    TUFF_TRY(tuff_pairs_read(r->path, r->columns.names, r->columns.n, r->columns.score, &r->pairs));
    if (!r->pairs.rows) return tuff_fail(TUFF_INVALID_ARGUMENT, "%s has no records", r->path);
    return add_rows(r);
}

/* Into an empty data set of the task, which owns what was read so far also after a failure. */
static tuff_status load_into(const tuff_model *model, const char *path, const tuff_pair_params *p,
                             tuff_dataset *data)
{
    reading r = {.path = path, .watch = p->watch, .data = data};
    data->own = r.own = tuff_alloc(sizeof *r.own);
    if (!r.own) return tuff_fail_memory("a data set");
    tuff_status status = load(&r, model, p);
    tuff_pairs_free(&r.pairs);
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
