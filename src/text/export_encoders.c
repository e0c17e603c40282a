/* WordPiece as kind bert, Unigram as kind t5. */
#include <string.h>

#include "base/status.h"
#include "text/bert.h"
#include "text/describe.h"
#include "text/export.h"
#include "text/write.h"

static const char space_piece[] = "\xe2\x96\x81";

/* Both kinds know one token before a text and one behind it. */
static tuff_status check_template(const tuff_tokenizer *t)
{
    if (tuff_template_before(&t->single) <= 1 && tuff_template_after(&t->single) <= 1) return TUFF_OK;
    return tuff_inexpressible("it puts more than one token before or behind a text");
}

tuff_status tuff_export_wordpiece(const tuff_tokenizer *t, tuff_vocab_export *e)
{
    tuff_bert_rules rules;
    TUFF_TRY(check_template(t));
    if (!tuff_bert_rules_of(t, &rules) || !rules.clean || !rules.chinese)
        return tuff_inexpressible("its normalizer or pre-tokenizer is not BERT's");
    if (!tuff_view_is(t->wordpiece.prefix, "##"))
        return tuff_inexpressible("its tokens inside words do not begin with ##");
    for (uint32_t id = 0; id < t->size; id++) {
        const tuff_token *token = &t->tokens[id];
        if (!token->text.data || token->special) continue;
        tuff_view text = tuff_spell_phantom(&e->arena, token->text);
        if (!text.data) return tuff_fail_memory("describing a tokenizer");
        e->tokens[id] = (tuff_piece){text.data, text.size};
    }
    e->desc.lowercase = rules.lower;
    e->desc.strip_accents = rules.accents;
    return TUFF_OK;
}

/* What the steps of a tokenizer come to, if SentencePiece can do it. */
typedef struct form {
    const tuff_charsmap *charsmap;
    bool prefix, merge, escaped; /* a space before the text; few spaces; written as U+2581 */
} form;

static bool is_piece(tuff_view text)
{
    return tuff_view_is(text, space_piece);
}

static bool takes_replacement(const tuff_normalizer *step, form *f)
{
    bool ends =
        tuff_view_is(step->pattern, tuff_spaces_before) || tuff_view_is(step->pattern, tuff_pieces_behind);
    ends = ends && !step->text.size;
    bool many =
        tuff_view_is(step->pattern, " {2,}") && (tuff_view_is(step->text, " ") || is_piece(step->text));
    bool one = tuff_view_is(step->pattern, "\\x{20}") && is_piece(step->text);
    f->merge = f->merge || ends || many;
    f->escaped = f->escaped || one;
    return ends || many || one;
}

static bool takes_normalizer(const tuff_normalizer *step, size_t index, form *f)
{
    switch (step->kind) {
    case TUFF_NORMALIZE_CHARSMAP:
        f->charsmap = step->charsmap;
        return index == 0;
    case TUFF_NORMALIZE_SENTENCEPIECE:
        *f = (form){step->charsmap, step->prefix, step->merge, true};
        return index == 0;
    case TUFF_NORMALIZE_REPLACE:
        return takes_replacement(step, f);
    case TUFF_NORMALIZE_PREPEND:
        f->prefix = is_piece(step->text);
        return f->prefix;
    case TUFF_NORMALIZE_STRIP:
        f->merge = true;
        return true;
    default:
        return false;
    }
}

static bool takes_splitter(const tuff_splitter *step, form *f)
{
    if (step->kind == TUFF_SPLIT_METASPACE && is_piece(step->text)) {
        f->escaped = true;
        f->prefix = f->prefix || step->prepend != TUFF_PREPEND_NEVER;
        return true;
    }
    bool cut = step->kind == TUFF_SPLIT_PATTERN && step->behavior == TUFF_SPLIT_MERGED_WITH_NEXT &&
               is_piece(step->pattern);
    bool words = step->kind == TUFF_SPLIT_SPACES;
    f->merge = f->merge || words;
    return cut || words;
}

tuff_status tuff_export_unigram(const tuff_tokenizer *t, tuff_vocab_export *e)
{
    form f = {0};
    bool ok = true;
    TUFF_TRY(check_template(t));
    for (size_t i = 0; i < t->normalizer_count; i++)
        ok = ok && takes_normalizer(&t->normalizers[i], i, &f);
    for (size_t i = 0; i < t->splitter_count; i++)
        ok = ok && takes_splitter(&t->splitters[i], &f);
    if (!ok || !f.escaped)
        return tuff_inexpressible("its normalizer or pre-tokenizer is not SentencePiece's");
    if (f.charsmap) {
        tuff_view blob = tuff_charsmap_blob(f.charsmap);
        e->desc.charsmap = (tuff_piece){blob.data, blob.size};
    }
    e->desc.pre = "default";
    e->desc.scores = e->scores;
    e->desc.merge_spaces = f.merge;
    return TUFF_OK;
}
