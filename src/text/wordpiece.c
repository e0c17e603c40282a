#include "text/wordpiece.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"

static bool continues(const tuff_wordpiece *model, tuff_view token)
{
    size_t size = model->prefix.size;
    return token.size >= size && (size == 0 || memcmp(token.data, model->prefix.data, size) == 0);
}

tuff_status tuff_wordpiece_build(tuff_wordpiece *model, const tuff_view *tokens, const int32_t *ids,
                                 size_t count, const char *where)
{
    TUFF_TRY(tuff_trie_build(&model->starts, tokens, ids, count, "WordPiece", where));
    tuff_view *tails = tuff_alloc_array(count, sizeof *tails);
    int32_t *tail_ids = tuff_alloc_array(count, sizeof *tail_ids);
    size_t n = 0;
    for (size_t i = 0; tails && tail_ids && i < count; i++) {
        if (!continues(model, tokens[i])) continue;
        tails[n] = (tuff_view){tokens[i].data + model->prefix.size, tokens[i].size - model->prefix.size};
        tail_ids[n++] = ids[i];
    }
    tuff_status status = tails && tail_ids
                             ? tuff_trie_build(&model->tails, tails, tail_ids, n, "WordPiece", where)
                             : tuff_fail_memory("the tokens of a tokenizer");
    tuff_free(tails);
    tuff_free(tail_ids);
    return status;
}

void tuff_wordpiece_free(tuff_wordpiece *model)
{
    tuff_trie_free(&model->starts);
    tuff_trie_free(&model->tails);
}

/* The longest token at the start of the text: its size, 0 for none. */
static size_t longest(const tuff_trie *trie, tuff_view text, int32_t *out_id)
{
    uint32_t node = TUFF_TRIE_ROOT;
    size_t best = 0;
    for (size_t i = 0; i < text.size; i++) {
        node = tuff_trie_step(trie, node, (uint8_t)text.data[i]);
        if (node == TUFF_TRIE_ROOT) break;
        if (trie->nodes[node].id < 0) continue;
        *out_id = trie->nodes[node].id;
        best = i + 1;
    }
    return best;
}

/* Whether the word has more characters than `most`. */
static bool is_longer(tuff_view word, size_t most)
{
    size_t characters = 0;
    if (word.size <= most) return false;
    for (size_t i = 0; i < word.size && characters <= most; i++)
        characters += ((uint8_t)word.data[i] & 0xc0) != 0x80;
    return characters > most;
}

tuff_status tuff_wordpiece_encode(const tuff_wordpiece *model, tuff_view word, tuff_pace *pace,
                                  tuff_pieces *out)
{
    size_t first = out->ids.size, at = 0;
    bool known = !is_longer(word, model->longest);
    while (known && at < word.size) {
        int32_t id;
        const tuff_trie *trie = at ? &model->tails : &model->starts;
        size_t size = longest(trie, (tuff_view){word.data + at, word.size - at}, &id);
        TUFF_TRY(tuff_pace_work(pace, size + 1));
        known = size > 0;
        if (known && !tuff_pieces_add(out, id, at, at + size)) return tuff_fail_memory("encoding a text");
        at += size;
    }
    if (known) return TUFF_OK;
    out->ids.size = first;
    return tuff_pieces_add(out, model->unk, 0, word.size) ? TUFF_OK : tuff_fail_memory("encoding a text");
}
