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

bool tuff_tokenizer_hash(const tuff_tokenizer *t, tuff_sha256 *hash)
{
    if (t->model != TUFF_WORDS_BPE) return false;
    add_number(hash, t->size);
    for (uint32_t i = 0; i < t->size; i++)
        add_token(hash, &t->tokens[i]);
    add_merges(hash, &t->bpe);
    add_number(hash, (int64_t)t->added_count);
    for (size_t i = 0; i < t->added_count; i++)
        add_added(hash, &t->added[i]);
    add_number(hash, (int64_t)t->normalizer_count);
    for (size_t i = 0; i < t->normalizer_count; i++)
        add_normalizer(hash, &t->normalizers[i]);
    add_number(hash, (int64_t)t->splitter_count);
    for (size_t i = 0; i < t->splitter_count; i++)
        add_splitter(hash, &t->splitters[i]);
    return true;
}
