/* Searches a folder of text files by meaning, as you type. Needs an embedding model and nothing else at run
 * time.
 *
 *     semantic-search MODEL FOLDER
 *
 * Paragraphs of .txt and .md files become vectors once; those of paragraphs that have not changed are taken
 * from FOLDER/.semantic-search the next time. In a terminal results follow what is typed; from a pipe every
 * line is a query. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/tuff.h>
#include <unistd.h>

#include "files.h"
#include "screen.h"

enum { SHOWN = 5, AT_ONCE = 512 };

typedef struct search {
    tuff_model *model;
    tuff_device *device;
    tuff_embedder *embedder;
    tuff_index *index;
    paragraphs texts;
    float *vectors; /* [texts.count, dimensions] */
    int64_t dimensions;
    uint64_t mark; /* of the model and its prompt, which make other vectors of other models */
} search;

static int fail(const char *what)
{
    fprintf(stderr, "semantic-search: %s: %s\n", what, tuff_error_message());
    return 1;
}

/* A prompt that the model's files have for queries or for documents; NULL: none, the default one serves. */
static const char *prompt_for(const search *s, const char *first, const char *second)
{
    const char *prompt = tuff_embedder_prompt(s->embedder, first);
    return prompt ? prompt : tuff_embedder_prompt(s->embedder, second);
}

/* ---- the index ---- */

/* The hash of one text's vector. */
static int mark_model(search *s)
{
    static const char *const text = "What this becomes tells models apart.";
    float *vector = malloc((size_t)s->dimensions * sizeof *vector);
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    params.prompt = prompt_for(s, "document", "passage");
    tuff_status status =
        vector ? tuff_embed(s->embedder, &text, NULL, 1, &params, vector, NULL) : TUFF_OUT_OF_MEMORY;
    if (status == TUFF_OK) s->mark = hash_of((const char *)vector, (size_t)s->dimensions * sizeof *vector);
    free(vector);
    return status == TUFF_OK ? 0 : fail("embedding");
}

/* Vectors of paragraphs that an earlier run made, found by their hash. Returns how many are still to be made;
 * those are moved to the end of `order`. */
static size_t take_known(search *s, const char *path, size_t *order)
{
    known_vectors known = known_open(path, s->dimensions, s->mark);
    size_t front = 0, back = s->texts.count;
    for (size_t i = 0; i < s->texts.count; i++) {
        const float *vector = known_find(&known, s->texts.items[i].hash);
        if (vector) {
            memcpy(s->vectors + i * (size_t)s->dimensions, vector, (size_t)s->dimensions * sizeof *vector);
            order[front++] = i;
        } else {
            order[--back] = i;
        }
    }
    known_close(&known);
    return s->texts.count - front;
}

static int make_vectors(search *s, const size_t *order, size_t n)
{
    const char *texts[AT_ONCE];
    size_t sizes[AT_ONCE];
    float *made = malloc(AT_ONCE * (size_t)s->dimensions * sizeof *made);
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    params.prompt = prompt_for(s, "document", "passage");
    tuff_status status = made ? TUFF_OK : TUFF_OUT_OF_MEMORY;
    for (size_t at = 0; at < n && status == TUFF_OK; at += AT_ONCE) {
        size_t count = n - at < AT_ONCE ? n - at : AT_ONCE;
        for (size_t i = 0; i < count; i++) {
            texts[i] = s->texts.items[order[at + i]].text;
            sizes[i] = s->texts.items[order[at + i]].size;
        }
        status = tuff_embed(s->embedder, texts, sizes, count, &params, made, NULL);
        for (size_t i = 0; i < count && status == TUFF_OK; i++)
            memcpy(s->vectors + order[at + i] * (size_t)s->dimensions, made + i * (size_t)s->dimensions,
                   (size_t)s->dimensions * sizeof *made);
        fprintf(stderr, "\rindexing: %zu of %zu paragraphs", at + count, n);
    }
    if (n) fputc('\n', stderr);
    free(made);
    return status == TUFF_OK ? 0 : fail("indexing");
}

static int make_index(search *s, const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/.semantic-search", folder);
    if (!paragraphs_read(folder, &s->texts)) {
        fprintf(stderr, "semantic-search: %s: %s\n", folder, strerror(errno));
        return 1;
    }
    if (!s->texts.count) {
        fprintf(stderr, "semantic-search: %s holds no .txt or .md files with text in them\n", folder);
        return 1;
    }
    size_t *order = malloc(s->texts.count * sizeof *order);
    s->vectors = malloc(s->texts.count * (size_t)s->dimensions * sizeof *s->vectors);
    int code = order && s->vectors ? 0 : 1;
    if (code) fprintf(stderr, "semantic-search: out of memory\n");
    size_t missing = code ? 0 : take_known(s, path, order);
    if (!code) code = make_vectors(s, order + s->texts.count - missing, missing);
    if (!code && missing && !known_save(path, &s->texts, s->vectors, s->dimensions, s->mark))
        fprintf(stderr, "semantic-search: the index cannot be kept in %s: %s\n", path, strerror(errno));
    free(order);
    return code;
}

/* ---- queries ---- */

/* Prints the best paragraphs, a line each of at most `columns`. Returns how many lines, -1 after a failure.
 */
static int answer(void *user, const char *text, int columns)
{
    const search *s = user;
    float *query = malloc((size_t)s->dimensions * sizeof *query);
    tuff_hit hits[SHOWN];
    size_t n = s->texts.count < SHOWN ? s->texts.count : SHOWN;
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    params.prompt = prompt_for(s, "query", "search_query");
    tuff_status status =
        query ? tuff_embed(s->embedder, &text, NULL, 1, &params, query, NULL) : TUFF_OUT_OF_MEMORY;
    if (status == TUFF_OK) status = tuff_index_search(s->index, query, 1, n, NULL, hits);
    for (size_t i = 0; i < n && status == TUFF_OK; i++) {
        const paragraph *p = &s->texts.items[hits[i].row];
        char place[256];
        snprintf(place, sizeof place, "%.3f  %s:%zu  ", (double)hits[i].score, p->path, p->line);
        print_line(place, p->text, p->size, columns);
    }
    free(query);
    return status == TUFF_OK ? (int)n : -1;
}

static int run(search *s, const char *model, const char *folder)
{
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    params.normalize = TUFF_NORMALIZE_YES;
    if (tuff_model_load(model, &s->model) != TUFF_OK) return fail("loading the model");
    if (tuff_device_open(NULL, &s->device) != TUFF_OK) return fail("opening a device");
    if (tuff_embedder_create(s->model, s->device, &params, &s->embedder) != TUFF_OK)
        return fail("putting the model on the device");
    s->dimensions = tuff_embedder_dimensions(s->embedder);
    int code = mark_model(s);
    if (!code) code = make_index(s, folder);
    if (code) return code;
    if (tuff_index_create(s->vectors, (int64_t)s->texts.count, s->dimensions, s->device, &s->index) !=
        TUFF_OK)
        return fail("making the index");
    return ask(answer, s) ? 0 : fail("answering");
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "Usage: semantic-search MODEL FOLDER\n");
        return 2;
    }
    search s = {0};
    int code = run(&s, argv[1], argv[2]);
    tuff_index_destroy(&s.index);
    tuff_embedder_destroy(&s.embedder);
    tuff_device_destroy(&s.device);
    tuff_model_destroy(&s.model);
    paragraphs_free(&s.texts);
    free(s.vectors);
    return code;
}
