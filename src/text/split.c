#include "text/split.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "text/byte_level.h"

struct tuff_split_state {
    tuff_regex_search search; /* pattern steps */
    tuff_buf text;            /* steps that rewrite */
};

/* A stretch of the piece, not yet handed on because its neighbour may join it. */
typedef struct stretch {
    size_t start, end;
    bool held, match;
} stretch;

tuff_status tuff_split_begin(const tuff_splitter *steps, size_t count, tuff_word_fn fn, void *user,
                             tuff_pace *pace, tuff_split_run *run)
{
    *run = (tuff_split_run){.steps = steps, .count = count, .fn = fn, .user = user, .pace = pace};
    while (run->outer < count && steps[run->outer].kind != TUFF_SPLIT_PATTERN)
        run->outer++;
    run->states = tuff_alloc_array(count, sizeof *run->states);
    if (!run->states) return tuff_fail_memory("cutting a text into words");
    for (size_t i = 0; i < count; i++) {
        if (steps[i].regex) TUFF_TRY(tuff_regex_begin(steps[i].regex, pace, &run->states[i].search));
    }
    return TUFF_OK;
}

void tuff_split_end(tuff_split_run *run)
{
    for (size_t i = 0; run->states && i < run->count; i++) {
        tuff_regex_end(&run->states[i].search);
        tuff_buf_free(&run->states[i].text);
    }
    tuff_free(run->states);
    run->states = NULL;
}

static tuff_status run_step(tuff_split_run *run, size_t step, tuff_view piece, bool first);

static tuff_status hand_on(tuff_split_run *run, size_t step, tuff_view piece, size_t start, size_t end,
                           bool first)
{
    if (start == end) return TUFF_OK;
    return run_step(run, step + 1, (tuff_view){piece.data + start, end - start}, first && start == 0);
}

/* Takes the next stretch, a match or what lies between; `last` is the stretch held back so far. */
static tuff_status take(tuff_split_run *run, size_t step, tuff_view piece, bool first, stretch *last,
                        size_t start, size_t end, bool match)
{
    if (start == end) return TUFF_OK;
    tuff_split_behavior behavior = run->steps[step].behavior;
    bool joins = last->held && ((behavior == TUFF_SPLIT_CONTIGUOUS && match == last->match) ||
                                (behavior == TUFF_SPLIT_MERGED_WITH_PREVIOUS && match && !last->match) ||
                                (behavior == TUFF_SPLIT_MERGED_WITH_NEXT && !match && last->match));
    if (joins) {
        last->end = end;
        last->match = match;
        return TUFF_OK;
    }
    if (last->held) TUFF_TRY(hand_on(run, step, piece, last->start, last->end, first));
    *last = (stretch){.start = start, .end = end, .held = true, .match = match};
    if (behavior == TUFF_SPLIT_REMOVED && match) last->held = false;
    return TUFF_OK;
}

static tuff_status split_pattern(tuff_split_run *run, size_t step, tuff_view piece, bool first)
{
    tuff_regex_search *search = &run->states[step].search;
    bool invert = run->steps[step].invert;
    stretch last = {0};
    size_t done = 0, start, end;
    if (run->pace && step == run->outer) run->pace->length = piece.size;
    tuff_regex_aim(search, piece);
    for (;;) {
        bool found;
        TUFF_TRY(tuff_regex_next(search, &start, &end, &found));
        if (!found) break;
        if (run->pace && step == run->outer) run->pace->at = end;
        TUFF_TRY(take(run, step, piece, first, &last, done, start, invert));
        TUFF_TRY(take(run, step, piece, first, &last, start, end, !invert));
        done = end;
    }
    TUFF_TRY(take(run, step, piece, first, &last, done, piece.size, invert));
    return last.held ? hand_on(run, step, piece, last.start, last.end, first) : TUFF_OK;
}

static bool begins_with(tuff_view text, tuff_view prefix)
{
    return text.size >= prefix.size && memcmp(text.data, prefix.data, prefix.size) == 0;
}

static tuff_status metaspace(const tuff_splitter *step, tuff_view piece, bool first, tuff_pace *pace,
                             tuff_buf *out)
{
    bool wanted = step->prepend == TUFF_PREPEND_ALWAYS || (step->prepend == TUFF_PREPEND_FIRST && first);
    if (wanted && piece.data[0] != ' ' && !begins_with(piece, step->text))
        tuff_buf_bytes(out, step->text.data, step->text.size);
    for (size_t i = 0; i < piece.size; i++) {
        if (piece.data[i] == ' ')
            tuff_buf_bytes(out, step->text.data, step->text.size);
        else
            tuff_buf_char(out, piece.data[i]);
        TUFF_TRY(tuff_pace_work(pace, 1));
    }
    return TUFF_OK;
}

static tuff_status run_step(tuff_split_run *run, size_t step, tuff_view piece, bool first)
{
    if (step == run->count) return run->fn(run->user, piece);
    const tuff_splitter *splitter = &run->steps[step];
    if (splitter->kind == TUFF_SPLIT_PATTERN) return split_pattern(run, step, piece, first);
    tuff_buf *text = &run->states[step].text;
    tuff_buf_clear(text);
    switch (splitter->kind) {
    case TUFF_SPLIT_PREFIX_SPACE:
        if (piece.data[0] != ' ') tuff_buf_char(text, ' ');
        tuff_buf_bytes(text, piece.data, piece.size);
        break;
    case TUFF_SPLIT_METASPACE:
        TUFF_TRY(metaspace(splitter, piece, first, run->pace, text));
        break;
    default:
        TUFF_TRY(tuff_bytes_to_characters(piece, run->pace, text));
        break;
    }
    if (text->failed) return tuff_fail_memory("cutting a text into words");
    return run_step(run, step + 1, (tuff_view){text->data, text->size}, first);
}

tuff_status tuff_split(tuff_split_run *run, tuff_view piece, bool first)
{
    return piece.size ? run_step(run, 0, piece, first) : TUFF_OK;
}
