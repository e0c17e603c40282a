#include "text/fingerprint.h"

#include "text/tokenizer_impl.h"

static void add_number(tuff_sha256 *hash, int64_t value)
{
    tuff_sha256_update(hash, &value, sizeof value);
}

/* With its size, so that two texts are not taken for one. */
static void add_text(tuff_sha256 *hash, tuff_view text)
{
    add_number(hash, text.data ? (int64_t)text.size : -1);
    tuff_sha256_update(hash, text.data, text.size);
}

static void add_normalizer(tuff_sha256 *hash, const tuff_normalizer *step)
{
    add_number(hash, step->kind);
    add_text(hash, step->text);
    add_text(hash, step->pattern);
    add_text(hash, step->charsmap ? tuff_charsmap_blob(step->charsmap) : (tuff_view){NULL, 0});
    add_number(hash, step->left | step->right << 1 | step->prefix << 2 | step->merge << 3);
}

static void add_splitter(tuff_sha256 *hash, const tuff_splitter *step)
{
    add_number(hash, step->kind);
    add_number(hash, step->behavior);
    add_number(hash, step->prepend);
    add_number(hash, step->invert);
    add_text(hash, step->text);
    add_text(hash, step->pattern);
}

static void add_token(tuff_sha256 *hash, const tuff_token *token)
{
    add_text(hash, token->text);
    tuff_sha256_update(hash, &token->score, sizeof token->score);
    add_number(hash, token->type | token->special << 8 | token->in_model << 9);
}

static void add_added(tuff_sha256 *hash, const tuff_added_token *token)
{
    add_text(hash, token->text);
    add_number(hash, token->id);
    add_number(hash, token->special | token->normalized << 1 | token->single_word << 2 | token->left << 3 |
                         token->right << 4);
}

static void add_merges(tuff_sha256 *hash, const tuff_bpe *bpe)
{
    add_number(hash, (int64_t)bpe->merge_count);
    for (size_t i = 0; i < bpe->merge_count; i++) {
        const tuff_merge *m = &bpe->merges[i];
        add_number(hash, m->left);
        add_number(hash, m->right);
        add_number(hash, m->id);
        add_number(hash, m->rank);
    }
    tuff_sha256_update(hash, bpe->bytes, sizeof bpe->bytes);
    add_number(hash, bpe->unk);
    add_number(hash, bpe->byte_fallback | bpe->fuse_unk << 1 | bpe->whole_words << 2);
    add_text(hash, bpe->suffix);
}

static void add_unigram(tuff_sha256 *hash, const tuff_unigram *u, uint32_t size)
{
    tuff_sha256_update(hash, u->scores, size * sizeof *u->scores);
    if (u->special) tuff_sha256_update(hash, u->special, size);
    tuff_sha256_update(hash, &u->unk_score, sizeof u->unk_score);
    tuff_sha256_update(hash, u->bytes, sizeof u->bytes);
    add_number(hash, u->unk);
    add_number(hash, u->byte_fallback);
}

static void add_words(tuff_sha256 *hash, const tuff_tokenizer *t)
{
    add_number(hash, t->model);
    if (t->model == TUFF_WORDS_BPE) add_merges(hash, &t->bpe);
    if (t->model == TUFF_WORDS_UNIGRAM) add_unigram(hash, &t->unigram, t->size);
    if (t->model != TUFF_WORDS_WORDPIECE) return;
    add_text(hash, t->wordpiece.prefix);
    add_number(hash, t->wordpiece.unk);
    add_number(hash, (int64_t)t->wordpiece.longest);
}

/* What stands around texts. */
static void add_template(tuff_sha256 *hash, const tuff_template *t)
{
    add_number(hash, (int64_t)t->count);
    tuff_sha256_update(hash, t->parts, t->count * sizeof *t->parts);
}

static void add_specials(tuff_sha256 *hash, const tuff_tokenizer *t)
{
    const int32_t ids[] = {t->bos, t->unk, t->pad, t->cls, t->sep, t->mask};
    add_template(hash, &t->single);
    add_template(hash, &t->pair);
    tuff_sha256_update(hash, ids, sizeof ids);
    tuff_sha256_update(hash, t->eos, t->eos_count * sizeof *t->eos);
    add_number(hash, t->trim | t->trim_prefix << 1 | t->byte_level << 2 | t->space_pieces << 3 |
                         t->sentencepiece << 4 | t->space_prefix << 5 | t->model_file << 6);
}

void tuff_tokenizer_hash(const tuff_tokenizer *t, tuff_sha256 *hash)
{
    add_number(hash, t->size);
    for (uint32_t i = 0; i < t->size; i++)
        add_token(hash, &t->tokens[i]);
    add_words(hash, t);
    add_specials(hash, t);
    add_number(hash, (int64_t)t->added_count);
    for (size_t i = 0; i < t->added_count; i++)
        add_added(hash, &t->added[i]);
    add_number(hash, (int64_t)t->normalizer_count);
    for (size_t i = 0; i < t->normalizer_count; i++)
        add_normalizer(hash, &t->normalizers[i]);
    add_number(hash, (int64_t)t->splitter_count);
    for (size_t i = 0; i < t->splitter_count; i++)
        add_splitter(hash, &t->splitters[i]);
}
