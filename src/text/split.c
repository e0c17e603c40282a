#include "text/split.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "text/byte_level.h"
#include "text/unicode_class.h"

struct tuff_split_state {
    tuff_regex_search search; /* pattern steps */
    tuff_made made;           /* steps that rewrite: the text; its origins are those below, if wanted */
    tuff_origins origins;
    tuff_view from; /* what they made it from */
};

/* A stretch of the piece, not yet handed on because its neighbour may join it. */
typedef struct stretch {
    size_t start, end;
    bool held, match;
} stretch;

static bool cuts(const tuff_splitter *step)
{
    return step->kind == TUFF_SPLIT_PATTERN || step->kind == TUFF_SPLIT_SPACES ||
           step->kind == TUFF_SPLIT_BERT;
}

tuff_status tuff_split_begin(const tuff_splitter *steps, size_t count, bool traced, tuff_word_fn fn,
                             void *user, tuff_pace *pace, tuff_split_run *run)
{
    *run = (tuff_split_run){
        .steps = steps, .count = count, .traced = traced, .fn = fn, .user = user, .pace = pace};
    while (run->outer < count && !cuts(&steps[run->outer]))
        run->outer++;
    run->states = tuff_alloc_array(count, sizeof *run->states);
    if (!run->states) return tuff_fail_memory("cutting a text into words");
    for (size_t i = 0; i < count; i++) {
        if (traced) run->states[i].made.origins = &run->states[i].origins;
        if (!steps[i].regex) continue;
        TUFF_TRY(tuff_regex_begin(steps[i].regex, pace, &run->states[i].search));
        /* where nothing is joined, an empty match cuts: "(?=(\\d{3})+(?!\\d))" */
        run->states[i].search.empties =
            steps[i].behavior == TUFF_SPLIT_ISOLATED || steps[i].behavior == TUFF_SPLIT_REMOVED;
    }
    return TUFF_OK;
}

void tuff_split_end(tuff_split_run *run)
{
    for (size_t i = 0; run->states && i < run->count; i++) {
        tuff_regex_end(&run->states[i].search);
        tuff_buf_free(&run->states[i].made.text);
        tuff_origins_free(&run->states[i].origins);
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

/* What a character is to those who cut between words. */
typedef enum kind { WORD, SPACE, MARK } kind;

static kind kind_of(uint32_t c)
{
    if (c < 0x80) {
        if (c == ' ' || (c >= 0x9 && c <= 0xd)) return SPACE;
        bool letter = (c | 0x20) - 'a' < 26, digit = c - '0' < 10;
        return letter || digit || c < 0x20 || c == 0x7f ? WORD : MARK;
    }
    return tuff_is_space(c) ? SPACE : tuff_is_punctuation(c) ? MARK : WORD;
}

static tuff_status split_words(tuff_split_run *run, size_t step, tuff_view piece, bool first)
{
    size_t start = 0; /* of the word at hand */
    bool outer = run->pace && step == run->outer, marks = run->steps[step].kind == TUFF_SPLIT_BERT;
    if (outer) run->pace->length = piece.size;
    for (size_t i = 0; i < piece.size;) {
        uint32_t c = (uint8_t)piece.data[i];
        size_t size = c < 0x80 ? 1 : tuff_utf8_decode(piece.data + i, piece.size - i, &c);
        kind k = kind_of(c);
        if (k == SPACE || (k == MARK && marks)) {
            if (outer) run->pace->at = i;
            TUFF_TRY(hand_on(run, step, piece, start, i, first));
            if (k == MARK) TUFF_TRY(hand_on(run, step, piece, i, i + size, first));
            TUFF_TRY(tuff_pace_work(run->pace, i + size - start));
            start = i + size;
        }
        i += size;
        TUFF_ASSERT(size > 0);
    }
    return hand_on(run, step, piece, start, piece.size, first);
}

static bool begins_with(tuff_view text, tuff_view prefix)
{
    return text.size >= prefix.size && memcmp(text.data, prefix.data, prefix.size) == 0;
}

/* The text before the others, which stands for the first of their characters, as that does itself. */
static void put_before(tuff_view text, tuff_view piece, tuff_made *out)
{
    uint32_t c;
    tuff_made_put(out, text, 0, tuff_utf8_decode(piece.data, piece.size, &c));
}

static tuff_status metaspace(const tuff_splitter *step, tuff_view piece, bool first, tuff_pace *pace,
                             tuff_made *out)
{
    bool wanted = step->prepend == TUFF_PREPEND_ALWAYS || (step->prepend == TUFF_PREPEND_FIRST && first);
    if (wanted && piece.data[0] != ' ' && !begins_with(piece, step->text)) put_before(step->text, piece, out);
    for (size_t i = 0; i < piece.size;) {
        const char *space = memchr(piece.data + i, ' ', piece.size - i);
        size_t size = space ? (size_t)(space - (piece.data + i)) : piece.size - i;
        if (size > TUFF_PACE_WORK) {
            size = TUFF_PACE_WORK;
            space = NULL;
        }
        tuff_made_copy(out, piece, i, size);
        i += size;
        if (space) tuff_made_put(out, step->text, i++, 1);
        TUFF_TRY(tuff_pace_work(pace, size + 1));
    }
    return TUFF_OK;
}

/* What a step that rewrites makes of a piece; it lies in the step's state. */
static tuff_status rewrite(tuff_split_run *run, size_t step, tuff_view piece, bool first)
{
    const tuff_splitter *splitter = &run->steps[step];
    struct tuff_split_state *state = &run->states[step];
    tuff_made_clear(&state->made);
    state->from = piece;
    switch (splitter->kind) {
    case TUFF_SPLIT_PREFIX_SPACE:
        if (piece.data[0] != ' ') put_before(tuff_view_of(" "), piece, &state->made);
        tuff_made_copy(&state->made, piece, 0, piece.size);
        break;
    case TUFF_SPLIT_METASPACE:
        TUFF_TRY(metaspace(splitter, piece, first, run->pace, &state->made));
        break;
    default:
        TUFF_TRY(tuff_bytes_to_characters(piece, run->pace, &state->made));
        break;
    }
    return state->made.text.failed ? tuff_fail_memory("cutting a text into words") : TUFF_OK;
}

static tuff_status run_step(tuff_split_run *run, size_t step, tuff_view piece, bool first)
{
    if (step == run->count) return run->fn(run->user, piece);
    switch (run->steps[step].kind) {
    case TUFF_SPLIT_PATTERN:
        return split_pattern(run, step, piece, first);
    case TUFF_SPLIT_SPACES:
    case TUFF_SPLIT_BERT:
        return split_words(run, step, piece, first);
    default:
        break;
    }
    TUFF_TRY(rewrite(run, step, piece, first));
    const tuff_buf *text = &run->states[step].made.text;
    return run_step(run, step + 1, (tuff_view){text->data, text->size}, first);
}

tuff_status tuff_split(tuff_split_run *run, tuff_view piece, bool first)
{
    run->piece = piece;
    return piece.size ? run_step(run, 0, piece, first) : TUFF_OK;
}

tuff_span tuff_split_origin(const tuff_split_run *run, tuff_view word, tuff_span span)
{
    /* From the last step that rewrote back to the first: in each one's text, then in what that was from. */
    const char *at = word.data;
    for (size_t step = run->count; step-- > 0;) {
        const struct tuff_split_state *state = &run->states[step];
        if (cuts(&run->steps[step])) continue;
        size_t shift = (size_t)(at - state->made.text.data);
        span = tuff_origins_find(&state->origins, (tuff_span){span.start + shift, span.end + shift});
        at = state->from.data;
    }
    size_t shift = (size_t)(at - run->piece.data);
    return (tuff_span){span.start + shift, span.end + shift};
}
