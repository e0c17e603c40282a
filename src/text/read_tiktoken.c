/* tiktoken's files: a line per token, its bytes in base64 and its rank, which is its id. Two neighbours are
 * joined whose token has the lowest rank. */
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/status.h"
#include "text/byte_level.h"
#include "text/describe.h"
#include "text/known_cuts.h"
#include "text/read.h"

static const struct kind {
    size_t listed;
    const char *cut, *begin, *end;
} kinds[] = {
#define TUFF_TIKTOKEN(listed, cut, begin, end) {listed, cut, begin, end},
#define TUFF_TIKTOKEN_TOKEN(listed, id, text)
#define TUFF_TIKTOKEN_SERIES(listed, id, format, from, count)
#include "text/tiktoken.def"
};

static const struct special {
    size_t listed;
    int id;
    const char *format;
    int from, count;
} specials[] = {
#define TUFF_TIKTOKEN(listed, cut, begin, end)
#define TUFF_TIKTOKEN_TOKEN(listed, id, text)                 {listed, id, text, 0, 1},
#define TUFF_TIKTOKEN_SERIES(listed, id, format, from, count) {listed, id, format, from, count},
#include "text/tiktoken.def"
};

typedef struct line {
    tuff_view base64;
    uint32_t rank;
} line;

/* The next line; false at the end. A line that is none of the format has no base64. */
static bool next_line(tuff_view *text, line *out)
{
    while (text->size && (text->data[0] == '\n' || text->data[0] == '\r'))
        *text = (tuff_view){text->data + 1, text->size - 1};
    if (!text->size) return false;
    const char *newline = memchr(text->data, '\n', text->size);
    size_t size = newline ? (size_t)(newline - text->data) : text->size, at;
    const char *begin = text->data, *space = memchr(begin, ' ', size);
    *text = (tuff_view){begin + size, text->size - size};
    if (size && begin[size - 1] == '\r') size--;
    *out = (line){.base64 = {NULL, 0}};
    at = space ? (size_t)(space - begin) + 1 : size;
    if (at >= size || size - at > 8) return true;
    for (; at < size; at++) {
        if (begin[at] < '0' || begin[at] > '9') return true;
        out->rank = out->rank * 10 + (uint32_t)(begin[at] - '0');
    }
    out->base64 = (tuff_view){begin, (size_t)(space - begin)};
    return true;
}

bool tuff_is_tiktoken(tuff_view text)
{
    line first;
    tuff_buf bytes = {0};
    bool good = text.size && text.data[0] != '\n' && next_line(&text, &first) && first.base64.size &&
                tuff_base64_decode(first.base64, &bytes);
    tuff_buf_free(&bytes);
    return good;
}

static tuff_status count_lines(tuff_view text, const char *where, size_t *out_lines, uint32_t *out_size)
{
    line l;
    *out_lines = 0;
    *out_size = 0;
    while (next_line(&text, &l)) {
        ++*out_lines;
        if (!l.base64.size || l.rank >= TUFF_ID_LIMIT)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: line %zu is not a token in base64 and its rank, below %d",
                             where, *out_lines, TUFF_ID_LIMIT);
        if (l.rank >= *out_size) *out_size = l.rank + 1;
    }
    if (*out_size / 2 > *out_lines + 512)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: a rank of %u among %zu tokens leaves too many unused", where,
                         *out_size - 1, *out_lines);
    return TUFF_OK;
}

/* By the class that a config names where the number of tokens is not known. */
static const char *cut_of_class(const cJSON *config)
{
    static const char *const classes[][2] = {{"Qwen", "qwen2"},
                                             {"QWen", "qwen2"},
                                             {"TikTokenTokenizer", "kimi-k2"},
                                             {"PreTrainedTokenizerFast", "llama-bpe"},
                                             {"Llama", "llama-bpe"}};
    const cJSON *class = cJSON_GetObjectItemCaseSensitive(config, "tokenizer_class");
    for (size_t i = 0; cJSON_IsString(class) && i < sizeof classes / sizeof *classes; i++)
        if (tuff_starts_with(class->valuestring, classes[i][0])) return classes[i][1];
    return NULL;
}

/* The special tokens of a known file, as tokenizer.json's added_tokens, where there is no list of them yet.
 */
static tuff_status add_known(const struct kind *kind, cJSON *added)
{
    if (cJSON_GetArraySize(added) > 0) return TUFF_OK;
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        const struct special *s = &specials[i];
        for (int n = 0; s->listed == kind->listed && n < s->count; n++) {
            const char *number = strstr(s->format, "%d");
            char text[64];
            if (number)
                snprintf(text, sizeof text, "%.*s%d%s", (int)(number - s->format), s->format, s->from + n,
                         number + 2);
            else
                snprintf(text, sizeof text, "%s", s->format);
            cJSON *item = cJSON_CreateObject();
            if (!item || !cJSON_AddItemToArray(added, item) ||
                !cJSON_AddNumberToObject(item, "id", s->id + n) ||
                !cJSON_AddStringToObject(item, "content", text) || !cJSON_AddTrueToObject(item, "special"))
                return tuff_fail_memory("the added tokens of a tokenizer");
        }
    }
    return TUFF_OK;
}

static tuff_status add_token(tuff_tokenizer *t, const line *l, size_t index, const char *where,
                             tuff_buf *bytes, tuff_buf *spelled)
{
    uint32_t other;
    tuff_buf_clear(bytes);
    tuff_buf_clear(spelled);
    if (!tuff_base64_decode(l->base64, bytes) || bytes->size == 0)
        return bytes->failed
                   ? tuff_fail_memory("the tokens of a tokenizer")
                   : tuff_fail(TUFF_BAD_FORMAT, "%s: the token of line %zu is not base64", where, index);
    for (size_t i = 0; i < bytes->size; i++)
        tuff_buf_utf8(spelled, tuff_byte_character((uint8_t)bytes->data[i]));
    if (spelled->failed) return tuff_fail_memory("the tokens of a tokenizer");
    if (t->tokens[l->rank].text.data || tuff_map_get(&t->vocab, spelled->data, spelled->size, &other))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: line %zu has a rank or a token that was there before", where,
                         index);
    tuff_view copy = tuff_tokenizer_copy(t, (tuff_view){spelled->data, spelled->size});
    if (!copy.data || !tuff_map_put(&t->vocab, copy.data, copy.size, l->rank))
        return tuff_fail_memory("the tokens of a tokenizer");
    t->tokens[l->rank] =
        (tuff_token){.text = copy, .type = TUFF_TOKEN_NORMAL, .in_model = true, .score = -(double)l->rank};
    return TUFF_OK;
}

static tuff_status add_tokens(tuff_tokenizer *t, tuff_view text, const char *where)
{
    tuff_status status = TUFF_OK;
    tuff_buf bytes = {0}, spelled = {0};
    size_t index = 0;
    line l;
    while (status == TUFF_OK && next_line(&text, &l))
        status = add_token(t, &l, ++index, where, &bytes, &spelled);
    tuff_buf_free(&bytes);
    tuff_buf_free(&spelled);
    if (status == TUFF_OK) status = tuff_imply_merges(t, where);
    for (uint32_t id = 0; id < t->size; id++)
        t->tokens[id].score = 0; /* the ranks were for the merges */
    return status;
}

/* What a file alone says: how texts begin and end. */
static void add_ends(tuff_tokenizer *t, const struct kind *kind)
{
    uint32_t id;
    if (tuff_map_get(&t->ids, kind->begin, strlen(kind->begin), &id)) t->bos = (int32_t)id;
    if (tuff_map_get(&t->ids, kind->end, strlen(kind->end), &id)) tuff_tokenizer_add_eos(t, (int32_t)id);
    tuff_template_fill(&t->single, &t->pair, t->bos, -1, t->bos, true);
}

static tuff_status read_all(tuff_tokenizer *t, tuff_view text, const cJSON *config, cJSON *added,
                            const char *where)
{
    size_t lines;
    uint32_t listed, size;
    const struct kind *kind = NULL;
    TUFF_TRY(count_lines(text, where, &lines, &listed));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].listed == lines) kind = &kinds[i];
    const char *cut = kind ? kind->cut : cut_of_class(config);
    if (!cut)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: it lists %zu tokens and does not say how texts are cut into words, and of no such file is it "
            "known; make a tokenizer.json of it with transformers",
            where, lines);
    if (kind) TUFF_TRY(add_known(kind, added));
    TUFF_TRY(tuff_count_ids(listed, NULL, added, where, &size));
    TUFF_TRY(tuff_tokenizer_reserve(t, size));
    TUFF_TRY(add_tokens(t, text, where));
    TUFF_TRY(tuff_read_added(t, added, 0, where));
    TUFF_TRY(tuff_known_cut_apply(t, tuff_known_cut_find(cut), false, where));
    t->bpe.whole_words = true;
    TUFF_TRY(tuff_tokenizer_finish(t, where));
    if (kind) add_ends(t, kind);
    return config ? tuff_read_config(t, config, where) : TUFF_OK;
}

tuff_status tuff_read_tiktoken_tokenizer(tuff_view text, tuff_view config, const char *where,
                                         tuff_tokenizer **out_tokenizer)
{
    *out_tokenizer = NULL;
    cJSON *tree = NULL, *added = NULL;
    tuff_tokenizer *t = NULL;
    tuff_status status;
    if (config.data) TUFF_GO(tuff_json_parse(config.data, config.size, "tokenizer_config.json", &tree));
    TUFF_GO(tuff_config_added(tree, where, &added));
    TUFF_GO(tuff_tokenizer_new(&t));
    TUFF_GO(read_all(t, text, tree, added, where));
    if (config.data && !(t->config = tuff_tokenizer_copy(t, config)).data)
        TUFF_GO(tuff_fail_memory("a tokenizer"));
    *out_tokenizer = t;
    t = NULL;
done:
    tuff_tokenizer_destroy(&t);
    cJSON_Delete(tree);
    cJSON_Delete(added);
    return status;
}
