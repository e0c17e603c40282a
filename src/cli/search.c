/* tuff search */
#include <stdlib.h>
#include <string.h>
#include <tuff/embed.h>

#include "cli/cli.h"

typedef struct search_options {
    tuff_cli_common common;
    const char *model, *index, *docs, *field, *adapter, *prompt, *prompt_name;
    tuff_arg_list queries;
    int64_t k, max_length;
    int pooling;
} search_options;

#define AT(member) .offset = offsetof(search_options, member)
static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "Options:"},
    {TUFF_ARG_TEXT, "model", "PATH", AT(model),
     .help = "the model that made the vectors; another one is refused", .required = true},
    {TUFF_ARG_TEXT, "index", "FILE", AT(index), .help = "the vectors, as `tuff embed` writes them (.npy)",
     .required = true},
    {TUFF_ARG_LIST, "query", "TEXT", AT(queries), .help = "what to look for; may be given again"},
    {TUFF_ARG_TEXT, "docs", "FILE", AT(docs),
     .help = "the file that was embedded: its texts are shown; one that was changed since is refused"},
    {TUFF_ARG_TEXT, "field", "NAME", AT(field), .help = "the key or column of --docs that holds the text",
     .preset = "text"},
    {TUFF_ARG_INT, "top-k", "N", AT(k), 1, 1024, "how many are shown; -k N is the same"},
    {TUFF_ARG_CHOICE, "pooling", "model|mean|cls|max|last|weighted-mean|mean-sqrt-len", AT(pooling),
     .help = "as the vectors were made"},
    {TUFF_ARG_INT, "max-length", "N", AT(max_length), 2, 16777216,
     "tokens of a query; what is longer is cut off", "the model's"},
    {TUFF_ARG_TEXT, "prompt", "TEXT", AT(prompt), .help = "put before every query",
     .preset = "the model's prompt called \"query\", if it has one"},
    {TUFF_ARG_TEXT, "prompt-name", "NAME", AT(prompt_name),
     .help = "one of the prompts that the model's files name"},
    {TUFF_ARG_TEXT, "adapter", "DIR", AT(adapter),
     .help = "an adapter to apply: of PEFT LoRA or IA3; a .gguf file with LoRA"},
    TUFF_CLI_DEVICE_ROWS,
    TUFF_CLI_JSON_ROW(
        "print a JSON object per hit: query, row, score, text; of vectors of chunks also begin and end, "
        "bytes of the record"),
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args spec = {
    .verb = "search",
    .usage = "--model PATH --index FILE --query TEXT... [options]",
    .about = "Finds the texts nearest to a query among vectors that `tuff embed` made.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples =
        "tuff search --model MODEL --index vectors.npy --docs docs.jsonl --field body --query \"what to look for\" -k 5",
    .notes =
        "How it is found:\n"
        "  Every vector is compared with the query; nothing is approximate. The score is the cosine where vectors "
        "have length 1. A hit's row counts the records of the embedded file from 0. Where these were embedded in "
        "chunks (tuff embed --chunk), a record is found by its nearest chunk, whose text is shown.\n",
};

typedef struct work {
    const search_options *o;
    tuff_embedder *embedder;
    tuff_index *index;
    float *queries;
    tuff_hit *hits;
    int64_t *rows;
    char **texts;
    tuff_chunk *chunks; /* of the vectors; NULL: they are of whole records */
    size_t n_chunks;
    size_t k, asked, most; /* hits for a query that are shown, that are looked for, at first and at last */
    size_t *counts;        /* of each query's hits that are shown, the first of them */
} work;

static const char *find_prompt(const work *w, bool *found)
{
    const search_options *o = w->o;
    *found = true;
    if (o->prompt) return o->prompt;
    const char *prompt = tuff_embedder_prompt(w->embedder, o->prompt_name ? o->prompt_name : "query");
    *found = prompt || !o->prompt_name;
    if (!*found)
        tuff_cli_say("tuff: the model's files name no prompt \"%.40s\"; give the text itself with --prompt",
                     o->prompt_name);
    return prompt;
}

static const tuff_chunk *chunk_of(const work *w, const tuff_hit *hit)
{
    return w->chunks ? &w->chunks[hit->row] : NULL;
}

/* The part of the record that was found. */
static tuff_piece shown_text(const work *w, size_t at)
{
    const tuff_chunk *chunk = chunk_of(w, &w->hits[at]);
    const char *text = w->texts[at];
    tuff_piece all = {text, text ? strlen(text) : 0};
    if (!text || !chunk || chunk->end > all.size) return all;
    return (tuff_piece){text + chunk->begin, (size_t)(chunk->end - chunk->begin)};
}

static void print_hit(const work *w, size_t query, size_t at)
{
    const tuff_hit *hit = &w->hits[at];
    const tuff_chunk *chunk = chunk_of(w, hit);
    const tuff_piece text = shown_text(w, at);
    if (!w->o->common.json) {
        printf("%.4f  %lld", (double)hit->score, (long long)w->rows[at]);
        if (text.data) printf("  ");
        tuff_cli_print_line(text);
        return;
    }
    const char *asked = w->o->queries.items[query];
    printf("{\"query\": ");
    tuff_cli_json_text(stdout, asked, strlen(asked));
    printf(", \"row\": %lld, \"score\": ", (long long)w->rows[at]);
    tuff_cli_json_number(stdout, (double)hit->score);
    if (chunk)
        printf(", \"begin\": %llu, \"end\": %llu", (unsigned long long)chunk->begin,
               (unsigned long long)chunk->end);
    if (text.data) {
        printf(", \"text\": ");
        tuff_cli_json_text(stdout, text.data, text.size);
    }
    puts("}");
}

static void print_all(const work *w)
{
    size_t n = w->o->queries.count;
    for (size_t q = 0, at = 0; q < n; at += w->counts[q++]) {
        if (n > 1 && !w->o->common.json) printf("%s%s\n", q ? "\n" : "", w->o->queries.items[q]);
        for (size_t i = 0; i < w->counts[q]; i++)
            print_hit(w, q, at + i);
    }
}

/* For as many hits as are looked for at most. */
static bool reserve(work *w)
{
    size_t n = w->o->queries.count, hits = n * w->most;
    w->queries = calloc(n * (size_t)tuff_embedder_dimensions(w->embedder), sizeof *w->queries);
    w->hits = calloc(hits, sizeof *w->hits);
    w->rows = calloc(hits + 1, sizeof *w->rows);
    w->texts = calloc(hits + 1, sizeof *w->texts);
    w->counts = calloc(n, sizeof *w->counts);
    if (w->queries && w->hits && w->rows && w->texts && w->counts) return true;
    tuff_cli_say("tuff: out of memory");
    return false;
}

/* Keeps the first k hits of each query, of a record's chunks the nearest, one after the other; how many.
 * *out_short: a query has fewer. */
static size_t keep_first(work *w, bool *out_short)
{
    size_t to = 0;
    *out_short = false;
    for (size_t q = 0; q < w->o->queries.count; q++) {
        const size_t begin = to;
        for (size_t i = q * w->asked; i < (q + 1) * w->asked && to - begin < w->k; i++) {
            const tuff_hit hit = w->hits[i];
            int64_t row = w->chunks ? w->chunks[hit.row].record : hit.row;
            bool there = false;
            for (size_t k = begin; k < to && !there; k++)
                there = w->rows[k] == row;
            if (there) continue;
            w->hits[to] = hit;
            w->rows[to++] = row;
        }
        w->counts[q] = to - begin;
        *out_short = *out_short || w->counts[q] < w->k;
    }
    return to;
}

/* Where the nearest chunks are of few records, more chunks are looked at. */
static tuff_status look(work *w, size_t *out_count)
{
    for (bool few = true; few;) {
        tuff_status status =
            tuff_index_search(w->index, w->queries, w->o->queries.count, w->asked, tuff_cli_watch(), w->hits);
        if (status != TUFF_OK) return status;
        *out_count = keep_first(w, &few);
        if (few && w->asked == w->most && w->most < (size_t)tuff_index_count(w->index))
            tuff_cli_say("the %zu nearest chunks are of fewer than %zu records", w->most, w->k);
        few = few && w->asked < w->most;
        w->asked = w->most;
    }
    return TUFF_OK;
}

/* By the hash beside the vectors, where there is one. */
static bool are_the_same(const search_options *o)
{
    tuff_status status = tuff_record_check(o->index, o->docs, o->field);
    if (status != TUFF_OK && status != TUFF_NOT_FOUND) tuff_cli_failed();
    return status == TUFF_OK || status == TUFF_NOT_FOUND;
}

/* The texts of the hits, from a file that has as many records as have vectors: in one that became another,
 * the numbers of records stand for other texts. */
static bool read_docs(work *w, size_t count)
{
    const search_options *o = w->o;
    int64_t n = w->chunks ? 0 : tuff_index_count(w->index);
    char *past = NULL;
    for (size_t i = 0; i < w->n_chunks; i++)
        if (w->chunks[i].record >= n) n = w->chunks[i].record + 1;
    w->rows[count] = n - 1;
    tuff_status status = tuff_record_texts(o->docs, o->field, w->rows, count + 1, w->texts);
    const bool fewer = status == TUFF_INVALID_ARGUMENT;
    if (status == TUFF_OK) {
        tuff_free(w->texts[count]);
        status = tuff_record_texts(o->docs, o->field, &n, 1, &past);
        if (status == TUFF_INVALID_ARGUMENT) return are_the_same(o);
        tuff_free(past);
    }
    if (status != TUFF_OK && !fewer)
        tuff_cli_failed();
    else
        tuff_cli_say(
            "tuff: %s has %s than the %lld records that %s has vectors of: it is another file than was "
            "embedded, or was changed since",
            o->docs, fewer ? "fewer" : "more", (long long)n, o->index);
    return false;
}

/* By what is kept beside the vectors, where it is. */
static bool is_of_the_model(const work *w)
{
    tuff_status status = tuff_embedder_check(w->embedder, w->o->index);
    if (status != TUFF_OK && status != TUFF_NOT_FOUND) tuff_cli_failed();
    return status == TUFF_OK || status == TUFF_NOT_FOUND;
}

static int find(work *w)
{
    const search_options *o = w->o;
    size_t n = o->queries.count;
    bool found = false;
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    params.prompt = find_prompt(w, &found);
    if (!found || !is_of_the_model(w) || !reserve(w)) return TUFF_EXIT_FAILED;
    size_t count = 0;
    if (tuff_embed(w->embedder, o->queries.items, NULL, n, &params, w->queries, NULL) != TUFF_OK ||
        look(w, &count) != TUFF_OK)
        return tuff_cli_failed();
    const bool shown = !o->docs || !count || read_docs(w, count);
    tuff_cli_show_line("");
    if (shown) print_all(w);
    for (size_t i = 0; i < count; i++)
        tuff_free(w->texts[i]);
    return shown ? TUFF_EXIT_OK : TUFF_EXIT_FAILED;
}

/* The table of chunks beside the vectors, where there is one. */
static bool read_chunks(work *w)
{
    char offsets[4096];
    const size_t size = strlen(w->o->index),
                 cut = size > 4 && strcmp(w->o->index + size - 4, ".npy") == 0 ? size - 4 : size;
    snprintf(offsets, sizeof offsets, "%.*s.offsets.npy", (int)cut, w->o->index);
    if (tuff_cli_exists(offsets)) {
        tuff_cli_say(
            "tuff: %s has a vector per token (%s is beside it); search takes vectors of texts or chunks",
            w->o->index, offsets);
        return false;
    }
    tuff_status status = tuff_chunks_read(w->o->index, &w->chunks, &w->n_chunks);
    if (status == TUFF_NOT_FOUND) return true;
    if (status != TUFF_OK) {
        tuff_cli_failed();
        return false;
    }
    if ((int64_t)w->n_chunks == tuff_index_count(w->index)) return true;
    tuff_cli_say(
        "tuff: %s has %lld vectors, and the table of chunks beside it %zu: they were not made together",
        w->o->index, (long long)tuff_index_count(w->index), w->n_chunks);
    return false;
}

/* Of chunks more are looked for, as several may be of one record. */
static void choose_counts(work *w)
{
    enum { MOST = 1024, CHUNKS = 8 };
    const size_t all = (size_t)tuff_index_count(w->index), wanted = (size_t)w->o->k;
    w->k = wanted < all ? wanted : all;
    w->most = !w->chunks ? w->k : all < MOST ? all : MOST;
    w->asked = w->chunks && CHUNKS * w->k < w->most ? CHUNKS * w->k : w->most;
}

/* An index of another model, with shorter vectors, looks the same. */
static void say_cut(const work *w)
{
    const int64_t full = tuff_embedder_full_dimensions(w->embedder), cut = tuff_index_dimensions(w->index);
    if (cut < full && !w->o->common.quiet)
        tuff_cli_say(
            "%s has vectors of %lld numbers, the model makes %lld: the first %lld are compared, as embed "
            "--dimensions %lld makes them",
            w->o->index, (long long)cut, (long long)full, (long long)cut, (long long)cut);
}

static int search(const search_options *o, const tuff_model *model, tuff_device *device)
{
    work w = {.o = o};
    if (tuff_index_open(o->index, device, &w.index) != TUFF_OK) return tuff_cli_failed();
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    params.pooling = (tuff_pooling)o->pooling;
    params.max_length = o->max_length;
    params.dimensions = tuff_index_dimensions(w.index);
    params.adapter = o->adapter;
    params.watch = tuff_cli_watch();
    tuff_cli_watch_shown(&o->common);
    int code = TUFF_EXIT_FAILED;
    if (read_chunks(&w)) {
        choose_counts(&w);
        tuff_status status = tuff_embedder_create(model, device, &params, &w.embedder);
        if (status == TUFF_OK) {
            say_cut(&w);
            code = find(&w);
        } else if (status != TUFF_INVALID_ARGUMENT) {
            code = tuff_cli_failed();
        } else {
            tuff_cli_say("tuff: %s has vectors of %lld numbers, and must be of this model: %s", o->index,
                         (long long)tuff_index_dimensions(w.index), tuff_error_message());
        }
    }
    tuff_embedder_destroy(&w.embedder);
    tuff_index_destroy(&w.index);
    free(w.queries);
    free(w.hits);
    free(w.rows);
    free(w.texts);
    free(w.counts);
    tuff_free(w.chunks);
    return code;
}

int tuff_cli_search(int argc, char **argv)
{
    static char top_k[] = "--top-k";
    search_options options = {.k = 10};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-k") == 0) argv[i] = top_k;
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    const char *wrong = !options.queries.count                  ? "give --query TEXT"
                        : options.prompt && options.prompt_name ? "give --prompt or --prompt-name, not both"
                        : options.field && !options.docs        ? "--field is of --docs, which is not given"
                                                                : NULL;
    if (wrong) tuff_cli_say("tuff: %s (see: tuff search --help)", wrong);
    if (wrong) return TUFF_EXIT_USAGE;
    tuff_cli_begin(&options.common);
    if (!tuff_cli_find_model(&options.model, options.common.quiet) ||
        !tuff_cli_find_adapter(&options.adapter, options.common.quiet))
        return TUFF_EXIT_FAILED;
    tuff_model *base = NULL, *adapted = NULL;
    const tuff_model *model = NULL;
    tuff_device *device = NULL;
    int code = tuff_cli_load_speaking(options.model, options.adapter, &base, &adapted, &model) == TUFF_OK &&
                       tuff_cli_open_device(&options.common, false, &device) == TUFF_OK
                   ? search(&options, model, device)
                   : tuff_cli_failed();
    tuff_cli_device_stats(&options.common, device);
    tuff_device_destroy(&device);
    tuff_model_destroy(&adapted);
    tuff_model_destroy(&base);
    return code;
}
