/* Encoding that is watched: how far it is, and that it ends when it is asked to. */
#include <tuff/watch.h>

#include "tokenizer_fixture.h"

typedef struct watcher {
    unsigned asked, stop_at; /* 0: never */
    uint64_t last, total;
} watcher;

static bool on_progress(const tuff_progress *progress, void *user)
{
    watcher *w = user;
    assert_int_equal(progress->phase, TUFF_PHASE_TOKENIZE);
    assert_true(progress->done >= w->last && progress->done <= progress->total);
    w->last = progress->done;
    w->total = progress->total;
    return ++w->asked != w->stop_at;
}

static tuff_status encode(const tuff_tokenizer *t, tuff_view text, watcher *w, size_t *out_count)
{
    tuff_watch watch = TUFF_WATCH_INIT;
    int32_t *ids;
    watch.on_progress = on_progress;
    watch.user = w;
    tuff_status status = tuff_tokenizer_encode_watched(t, text.data, text.size, 0, &watch, &ids, out_count);
    if (status != TUFF_OK) assert_true(!ids && *out_count == 0);
    tuff_free(ids);
    return status;
}

enum { BYTE_LEVEL, LLAMA, WORDPIECE, UNIGRAM, KINDS };

static tuff_tokenizer *make(int kind)
{
    static fixture f;
    tuff_tokenizer *t;
    static const char vocab[] = "[UNK]\nhello\nworld\nhe\na\n##a\n1\n##2\n\xe4\xb8\x80\n";
    if (kind == WORDPIECE) {
        KIT_OK(tuff_tokenizer_from_wordpiece(vocab, sizeof vocab - 1, NULL, 0, "test", &t));
        return t;
    }
    if (kind == BYTE_LEVEL)
        fixture_gpt2(&f, "qwen2", fixture_merges);
    else
        fixture_llama(&f);
    if (kind == UNIGRAM) f.desc.kind = "t5";
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    return t;
}

static char *repeat(const char *what, size_t size)
{
    char *text = malloc(size + 1);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++)
        text[i] = what[i % strlen(what)];
    return text;
}

/* Texts of one word and of many, ASCII and not, damaged: the watch is asked all along. */
static void a_long_text_is_answerable(void **state)
{
    (void)state;
    static const char *const texts[] = {"a",     "hello world ", "\xc3\xa9", " ",
                                        "a\xff", "he\n",         "12",       "\xe4\xb8\x80"};
    enum { SIZE = 400000 };
    for (int kind = 0; kind < KINDS; kind++) {
        tuff_tokenizer *t = make(kind);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            char *text = repeat(texts[i], SIZE);
            watcher w = {0};
            size_t count;
            KIT_OK(encode(t, (tuff_view){text, SIZE}, &w, &count));
            bool nothing = kind == WORDPIECE && texts[i][0] == ' '; /* a text of spaces has no words */
            assert_true((count > 0) != nothing && w.asked > SIZE / 65536);
            assert_true(w.last == w.total && w.total >= SIZE);
            /* ended at any of a few places: nothing is left, and it says so */
            for (unsigned stop = 1; stop <= w.asked; stop += w.asked / 3 + 1) {
                watcher stopping = {.stop_at = stop};
                KIT_FAILS(encode(t, (tuff_view){text, SIZE}, &stopping, &count), TUFF_CANCELLED,
                          "tokenizing");
                assert_int_equal(stopping.asked, stop);
            }
            free(text);
        }
        tuff_tokenizer_destroy(&t);
    }
}

static void a_request_to_stop_is_seen(void **state)
{
    (void)state;
    tuff_tokenizer *t = make(BYTE_LEVEL);
    tuff_cancel *cancel;
    int32_t *ids;
    size_t count;
    KIT_OK(tuff_cancel_create(&cancel));
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.cancel = cancel;
    KIT_OK(tuff_tokenizer_encode_watched(t, "hello", 5, 0, &watch, &ids, &count));
    assert_int_equal(count, 1);
    tuff_free(ids);
    tuff_cancel_request(cancel);
    KIT_FAILS(tuff_tokenizer_encode_watched(t, "hello", 5, 0, &watch, &ids, &count), TUFF_CANCELLED,
              "cancelled");
    tuff_watch unset = {0};
    KIT_FAILS(tuff_tokenizer_encode_watched(t, "hello", 5, 0, &unset, &ids, &count), TUFF_INVALID_ARGUMENT,
              "TUFF_WATCH_INIT");
    KIT_OK(tuff_tokenizer_encode_watched(t, "hello", 5, 0, NULL, &ids, &count));
    tuff_free(ids);
    tuff_cancel_destroy(&cancel);
    tuff_tokenizer_destroy(&t);
}

/* Progress is told for the whole text also where tokens of the model stand in it. */
static void progress_counts_bytes_of_the_text(void **state)
{
    (void)state;
    tuff_tokenizer *t = make(BYTE_LEVEL);
    enum { SIZE = 500000 };
    char *text = repeat("hello world <|endoftext|> 12", SIZE);
    watcher w = {0};
    size_t count;
    KIT_OK(encode(t, (tuff_view){text, SIZE}, &w, &count));
    assert_true(w.asked > 5 && w.total == SIZE && w.last == SIZE);
    free(text);
    tuff_tokenizer_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_text_is_answerable),
        cmocka_unit_test(a_request_to_stop_is_seen),
        cmocka_unit_test(progress_counts_bytes_of_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
