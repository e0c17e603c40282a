/* --logprobs of tuff generate: the tokens of a text, and how probable they and others were. */
#include <stdlib.h>
#include <string.h>

#include "cli/generate.h"

static bool grow(void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return true;
    const size_t more = 2 * *capacity + 64;
    void *grown = realloc(*items, more * size);
    if (!grown) return false;
    *items = grown;
    *capacity = more;
    return true;
}

bool tuff_cli_tokens_add(tuff_cli_tokens *to, const tuff_chosen *token)
{
    if (!grow((void **)&to->items, to->count, &to->capacity, sizeof *to->items)) return false;
    to->items[to->count++] = *token;
    for (size_t i = 0; i < token->top_count; i++) {
        if (!grow((void **)&to->tops, to->top_count, &to->top_capacity, sizeof *to->tops)) return false;
        to->tops[to->top_count++] = token->top[i];
    }
    return true;
}

void tuff_cli_tokens_end(tuff_cli_tokens *tokens)
{
    const tuff_token_logprob *top = tokens->tops;
    for (size_t i = 0; i < tokens->count; top += tokens->items[i++].top_count)
        tokens->items[i].top = top;
}

void tuff_cli_tokens_free(tuff_cli_tokens *tokens)
{
    free(tokens->items);
    free(tokens->tops);
}

/* "text": "...", or in quotes alone. */
static void print_token(const tuff_tokenizer *tokenizer, int32_t id, bool json)
{
    char *text = NULL;
    size_t size = 0;
    if (tuff_tokenizer_decode_token(tokenizer, id, &text, &size) != TUFF_OK) text = NULL;
    if (json) printf("\"text\": ");
    tuff_cli_json_text(stdout, text ? text : "", size);
    tuff_free(text);
}

static void print_json(const tuff_tokenizer *tokenizer, int32_t id, float logprob)
{
    printf("{\"id\": %d, ", (int)id);
    print_token(tokenizer, id, true);
    printf(", \"logprob\": %.7g", (double)logprob);
}

void tuff_cli_tokens_json(const tuff_tokenizer *tokenizer, const tuff_chosen *tokens, size_t n)
{
    printf(", \"tokens\": [");
    for (size_t i = 0; i < n; i++) {
        if (i) printf(", ");
        print_json(tokenizer, tokens[i].id, tokens[i].logprob);
        printf(", \"top\": [");
        for (size_t k = 0; k < tokens[i].top_count; k++) {
            if (k) printf(", ");
            print_json(tokenizer, tokens[i].top[k].id, tokens[i].top[k].logprob);
            putchar('}');
        }
        printf("]}");
    }
    putchar(']');
}

void tuff_cli_tokens_print(const tuff_tokenizer *tokenizer, const tuff_chosen *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        printf("%9.4f  ", (double)tokens[i].logprob);
        print_token(tokenizer, tokens[i].id, false);
        for (size_t k = 0; k < tokens[i].top_count; k++) {
            printf(k ? ", " : "  of: ");
            print_token(tokenizer, tokens[i].top[k].id, false);
            printf(" %.4f", (double)tokens[i].top[k].logprob);
        }
        putchar('\n');
    }
}
