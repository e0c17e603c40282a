#include "text/unigram.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"

enum {
    UNKNOWN_PENALTY = 10, /* below the least score, as in SentencePiece */
    STEP_WORK = 8         /* steps through the trie in the time that one byte counts for */
};

static const uint32_t NONE = UINT32_MAX;
/* SentencePiece's score of a user-defined symbol, for each of its bytes but one. */
static const float USER_SCORE = 0.1f;

/* The best way to the place, which is the end of its last piece. */
struct tuff_unigram_place {
    double score;
    uint32_t from; /* where the piece begins; NONE: no way leads here */
    int32_t id;
};
typedef struct tuff_unigram_place place;

static tuff_status copy_tables(tuff_unigram *model, const double *scores, const uint8_t *special, size_t size)
{
    model->scores = tuff_alloc_array(size, sizeof *model->scores);
    model->special = tuff_alloc_array(size, sizeof *model->special);
    if (!model->scores || !model->special) return tuff_fail_memory("the scores of a tokenizer");
    if (size) memcpy(model->scores, scores, size * sizeof *scores);
    if (size) memcpy(model->special, special, size * sizeof *special);
    return TUFF_OK;
}

tuff_status tuff_unigram_build(tuff_unigram *model, const tuff_view *pieces, const int32_t *ids, size_t count,
                               const double *scores, const uint8_t *special, const uint8_t *bonus,
                               size_t size, const char *where)
{
    double least = 0;
    bool any = false;
    TUFF_TRY(copy_tables(model, scores, special, size));
    TUFF_TRY(tuff_trie_build(&model->pieces, pieces, ids, count, "Unigram", where));
    for (size_t i = 0; i < count; i++) {
        const int32_t id = ids[i];
        if (bonus[id]) {
            model->scores[id] = USER_SCORE * (float)(pieces[i].size - 1);
        } else if (!any || scores[id] < least) {
            least = scores[id];
            any = true;
        }
    }
    model->unk_score = least - UNKNOWN_PENALTY;
    if (model->single) model->unk_score = (float)model->unk_score;
    return TUFF_OK;
}

void tuff_unigram_free(tuff_unigram *model)
{
    tuff_trie_free(&model->pieces);
    tuff_free(model->scores);
    tuff_free(model->special);
    model->scores = NULL;
    model->special = NULL;
}

void tuff_unigram_scratch_free(tuff_unigram_scratch *scratch)
{
    tuff_free(scratch->places);
    scratch->places = NULL;
    scratch->capacity = 0;
}

/* A search through one word. Places are counted from `base`, where all ways begin; what lies before it is
 * decided and in `out`. */
typedef struct search {
    const tuff_unigram *model;
    tuff_unigram_scratch *scratch;
    tuff_pieces *out;
    tuff_view word;
    size_t base;
    size_t ready;      /* places up to here are filled in, or say NONE */
    size_t unknown;    /* where the unknown characters before `base` begin; SIZE_MAX: there are none */
    size_t unknown_to; /* where they end */
} search;

/* Makes the places up to `end` ready. */
static tuff_status reach(search *s, size_t end)
{
    while (end - s->base >= s->scratch->capacity) {
        if (!tuff_grow((void **)&s->scratch->places, s->scratch->capacity, &s->scratch->capacity,
                       sizeof *s->scratch->places))
            return tuff_fail_memory("encoding a text");
    }
    for (; s->ready < end; s->ready++)
        s->scratch->places[s->ready + 1 - s->base].from = NONE;
    return TUFF_OK;
}

static tuff_status offer(search *s, size_t start, size_t end, int32_t id, double score)
{
    TUFF_TRY(reach(s, end));
    place *to = &s->scratch->places[end - s->base];
    double sum = s->scratch->places[start - s->base].score + score;
    if (s->model->single) sum = (float)sum;
    if (to->from == NONE || sum > to->score)
        *to = (place){.score = sum, .from = (uint32_t)(start - s->base), .id = id};
    return TUFF_OK;
}

/* As SentencePiece (0.2.3) does, lest long texts lose what tells their ways apart: sums that are this low
 * count from here. */
static void count_from(search *s, size_t start)
{
    place *places = s->scratch->places + (start - s->base);
    const float low = -100000, here = (float)places->score;
    if (!s->model->single || here >= low) return;
    for (size_t i = 0; i <= s->ready - start; i++)
        if (i == 0 || places[i].from != NONE) places[i].score = (float)places[i].score - here;
}

/* All pieces that begin at `start`, whose character has `size` bytes. */
static tuff_status spread(search *s, size_t start, size_t size)
{
    const tuff_trie *trie = &s->model->pieces;
    uint32_t node = TUFF_TRIE_ROOT;
    size_t end = start;
    bool alone = false; /* the character is a piece by itself */
    while (end < s->word.size) {
        node = tuff_trie_step(trie, node, (uint8_t)s->word.data[end]);
        if (node == TUFF_TRIE_ROOT) break;
        end++;
        int32_t id = trie->nodes[node].id;
        if (id < 0 || (s->scratch->plain && s->model->special[id])) continue;
        TUFF_TRY(offer(s, start, end, id, s->model->scores[id]));
        alone = alone || end - start == size;
    }
    if (!alone) TUFF_TRY(offer(s, start, start + size, s->model->unk, s->model->unk_score));
    return tuff_pace_work(s->scratch->pace, 1 + (end - start) / STEP_WORK);
}

static bool has_bytes(const tuff_unigram *model, tuff_view text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (model->bytes[(uint8_t)text.data[i]] < 0) return false;
    }
    return model->byte_fallback;
}

/* The unknown characters that wait become what they can. */
static bool end_unknown(search *s)
{
    if (s->unknown == SIZE_MAX) return true;
    size_t start = s->unknown, end = s->unknown_to;
    tuff_view text = {s->word.data + start, end - start};
    s->unknown = SIZE_MAX;
    int32_t id = tuff_trie_find(&s->model->pieces, text);
    if (id >= 0 && s->scratch->plain && s->model->special[id]) id = -1;
    if (id < 0 && has_bytes(s->model, text)) {
        for (size_t i = 0; i < text.size; i++) {
            if (!tuff_pieces_add(s->out, s->model->bytes[(uint8_t)text.data[i]], start, end)) return false;
        }
        return true;
    }
    if (id < 0) id = s->model->unk;
    return id < 0 || tuff_pieces_add(s->out, id, start, end);
}

static bool take(search *s, size_t start, size_t end, int32_t id)
{
    if (id == s->model->unk) {
        if (s->unknown == SIZE_MAX) s->unknown = start;
        s->unknown_to = end;
        return true;
    }
    return end_unknown(s) && tuff_pieces_add(s->out, id, start, end);
}

/* Every way leads through `end`: the pieces up to there are decided, and the search begins anew from it. */
static tuff_status decide(search *s, size_t end)
{
    place *places = s->scratch->places;
    uint32_t at = (uint32_t)(end - s->base), next = NONE;
    double score = places[at].score;
    /* Each place on the way is made to lead forward. */
    while (at) {
        uint32_t from = places[at].from;
        places[at].from = next;
        next = at;
        at = from;
    }
    bool ok = true;
    for (uint32_t start = 0; next != NONE && ok; start = next, next = places[next].from)
        ok = take(s, s->base + start, s->base + next, places[next].id);
    places[0] = (place){.score = score, .from = NONE};
    s->base = s->ready = end;
    return ok ? TUFF_OK : tuff_fail_memory("encoding a text");
}

tuff_status tuff_unigram_encode(const tuff_unigram *model, tuff_view word, tuff_unigram_scratch *scratch,
                                tuff_pieces *out)
{
    search s = {.model = model, .scratch = scratch, .out = out, .word = word, .unknown = SIZE_MAX};
    if (word.size >= NONE)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "a text of %zu bytes is too long to be encoded at once: cut it into parts",
                         word.size);
    TUFF_TRY(reach(&s, 0));
    scratch->places[0] = (place){.from = NONE};
    for (size_t at = 0; at < word.size;) {
        uint32_t c;
        size_t size = tuff_utf8_decode(word.data + at, word.size - at, &c);
        TUFF_ASSERT(size > 0);
        if (at > s.base && s.ready == at) {
            TUFF_TRY(decide(&s, at));
            if (scratch->pace && scratch->outer) scratch->pace->at = at;
        }
        count_from(&s, at);
        TUFF_TRY(spread(&s, at, size));
        at += size;
    }
    TUFF_TRY(decide(&s, word.size));
    return end_unknown(&s) ? TUFF_OK : tuff_fail_memory("encoding a text");
}
