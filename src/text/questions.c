/* What a tokenizer answers about itself. */
#include "base/status.h"
#include "text/tokenizer_impl.h"

uint32_t tuff_tokenizer_vocab_size(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return 0;
    return tokenizer->size;
}

tuff_status tuff_tokenizer_check_model(const tuff_tokenizer *tokenizer, uint32_t rows)
{
    TUFF_NEED(tokenizer);
    if (tokenizer->size <= rows) return TUFF_OK;
    return tuff_fail(
        TUFF_BAD_FORMAT,
        "the tokenizer has ids up to %u, but the model's embedding has only %u rows: the tokenizer belongs to another model",
        tokenizer->size - 1, rows);
}

static const tuff_token *token_at(const tuff_tokenizer *tokenizer, int32_t id)
{
    if (!tokenizer || id < 0 || (uint32_t)id >= tokenizer->size) return NULL;
    const tuff_token *token = &tokenizer->tokens[id];
    return token->text.data ? token : NULL;
}

tuff_piece tuff_tokenizer_token(const tuff_tokenizer *tokenizer, int32_t id)
{
    const tuff_token *token = token_at(tokenizer, id);
    return token ? (tuff_piece){token->text.data, token->text.size} : (tuff_piece){NULL, 0};
}

tuff_token_type tuff_tokenizer_token_type(const tuff_tokenizer *tokenizer, int32_t id)
{
    const tuff_token *token = token_at(tokenizer, id);
    return token ? (tuff_token_type)token->type : TUFF_TOKEN_UNUSED;
}

int32_t tuff_tokenizer_id(const tuff_tokenizer *tokenizer, const char *text, size_t size)
{
    if (!tokenizer || (!text && size > 0)) return -1;
    uint32_t id;
    if (tuff_map_get(&tokenizer->ids, text, size, &id)) return (int32_t)id;
    return tuff_map_get(&tokenizer->vocab, text, size, &id) ? (int32_t)id : -1;
}

int32_t tuff_tokenizer_bos(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return -1;
    return tokenizer->bos;
}

int32_t tuff_tokenizer_unk(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return -1;
    return tokenizer->unk;
}

int32_t tuff_tokenizer_pad(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return -1;
    return tokenizer->pad;
}

int32_t tuff_tokenizer_cls(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return -1;
    return tokenizer->cls;
}

int32_t tuff_tokenizer_sep(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return -1;
    return tokenizer->sep;
}

int32_t tuff_tokenizer_mask(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return -1;
    return tokenizer->mask;
}

uint32_t tuff_tokenizer_eos_count(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return 0;
    return (uint32_t)tokenizer->eos_count;
}

int32_t tuff_tokenizer_eos(const tuff_tokenizer *tokenizer, uint32_t index)
{
    if (!tokenizer) return -1;
    return index < tokenizer->eos_count ? tokenizer->eos[index] : -1;
}

bool tuff_tokenizer_is_eos(const tuff_tokenizer *tokenizer, int32_t id)
{
    if (!tokenizer) return false;
    for (size_t i = 0; i < tokenizer->eos_count; i++) {
        if (tokenizer->eos[i] == id) return true;
    }
    return false;
}

tuff_piece tuff_tokenizer_chat_template(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return (tuff_piece){NULL, 0};
    return (tuff_piece){tokenizer->chat_template.data, tokenizer->chat_template.size};
}

const char *tuff_tokenizer_kind(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return "";
    if (tokenizer->model == TUFF_WORDS_WORDPIECE) return "bert";
    if (tokenizer->model == TUFF_WORDS_UNIGRAM) return "t5";
    return tokenizer->byte_level ? "gpt2" : tokenizer->space_pieces ? "llama" : "";
}
