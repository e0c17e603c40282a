/* What a tokenizer's fuzzers do with one that loaded: a text is encoded whole and until it is stopped, as
 * half of a pair and in windows, and decoded. Places of tokens must be places of the text. */
#ifndef TUFF_FUZZ_USE_TOKENIZER_H
#define TUFF_FUZZ_USE_TOKENIZER_H

#include <stdlib.h>
#include <tuff/tokenizer.h>

typedef struct counter {
    unsigned asked, most;
    uint64_t last;
} counter;

static bool count_down(const tuff_progress *progress, void *user)
{
    counter *c = user;
    if (progress->done > progress->total || progress->done < c->last) abort();
    c->last = progress->done;
    return ++c->asked < c->most;
}

static void use_ids(const tuff_tokenizer *tokenizer, const char *text, size_t size, unsigned flags,
                    unsigned most)
{
    counter c = {.most = most};
    tuff_watch watch = TUFF_WATCH_INIT;
    int32_t *ids = NULL;
    char *decoded = NULL;
    size_t count, length;
    watch.on_progress = count_down;
    watch.user = &c;
    if (tuff_tokenizer_encode_watched(tokenizer, text, size, flags, &watch, &ids, &count) == TUFF_OK &&
        tuff_tokenizer_decode(tokenizer, ids, count, false, &decoded, &length) == TUFF_OK)
        tuff_free(decoded);
    tuff_free(ids);
}

static void use_pair(const tuff_tokenizer *tokenizer, tuff_piece text, tuff_piece pair, bool windows)
{
    counter c = {.most = 1000};
    tuff_watch watch = TUFF_WATCH_INIT;
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    tuff_encoding *first;
    watch.on_progress = count_down;
    watch.user = &c;
    params.watch = &watch;
    params.spans = true;
    params.windows = windows;
    params.truncation = windows && pair.data ? TUFF_TRUNCATE_ONLY_SECOND : TUFF_TRUNCATE_LONGEST_FIRST;
    params.max_length = windows ? 100 : 0;
    if (tuff_tokenizer_encode_pair(tokenizer, text, pair, &params, &first) != TUFF_OK) return;
    for (const tuff_encoding *e = first; e; e = e->next) {
        for (size_t i = 0; i < e->count; i++) {
            size_t most = e->texts[i] < 0 ? 0 : e->texts[i] ? pair.size : text.size;
            if (e->spans[i].start > e->spans[i].end || e->spans[i].end > most) abort();
        }
    }
    tuff_encoding_destroy(&first);
}

static void use_tokenizer(const tuff_tokenizer *tokenizer, const char *text, size_t size)
{
    const tuff_piece whole = {text, size}, half = {text, size / 2}, none = {NULL, 0};
    use_ids(tokenizer, text, size, TUFF_ENCODE_ADD_SPECIAL, 1000);
    use_ids(tokenizer, text, size, TUFF_ENCODE_PLAIN_SPECIAL, 2);
    use_pair(tokenizer, whole, none, false);
    use_pair(tokenizer, half, whole, true);
}

#endif
