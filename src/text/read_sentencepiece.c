/* SentencePiece models (.model), with what tokenizer_config.json says of how a model uses them. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/status.h"
#include "text/describe.h"
#include "text/protobuf.h"
#include "text/read.h"

enum { UNIGRAM = 1, BPE = 2, MOST_EXTRA = 10000 };

/* A model's pieces in its own order, or in that of the class that uses it. */
typedef struct pieces {
    tuff_arena arena; /* texts that are in no file */
    tuff_piece *texts;
    float *scores;
    int32_t *types;
    size_t count, text_capacity, score_capacity, type_capacity;
} pieces;

typedef struct file {
    pieces pieces;
    int64_t kind;            /* of the model */
    tuff_view bos, eos, pad; /* how they are called */
    bool suffix, prefix, merge, escape;
    tuff_view charsmap;
    const char *where;
} file;

static tuff_status add_piece(pieces *p, tuff_piece text, float score, int32_t type)
{
    if (p->count >= TUFF_ID_LIMIT ||
        !tuff_grow((void **)&p->texts, p->count, &p->text_capacity, sizeof *p->texts) ||
        !tuff_grow((void **)&p->scores, p->count, &p->score_capacity, sizeof *p->scores) ||
        !tuff_grow((void **)&p->types, p->count, &p->type_capacity, sizeof *p->types))
        return tuff_fail_memory("the pieces of a tokenizer");
    p->texts[p->count] = text;
    p->scores[p->count] = score;
    p->types[p->count++] = type;
    return TUFF_OK;
}

static void free_pieces(pieces *p)
{
    tuff_arena_free(&p->arena);
    tuff_free(p->texts);
    tuff_free(p->scores);
    tuff_free(p->types);
}

/* ---- the file ---- */

static float float_of(uint64_t bits)
{
    uint32_t word = (uint32_t)bits;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

static tuff_status read_piece(file *f, tuff_view bytes)
{
    tuff_proto message = {bytes, f->where};
    tuff_proto_field field;
    tuff_piece text = {NULL, 0};
    float score = 0;
    int32_t type = TUFF_TOKEN_NORMAL;
    for (;;) {
        bool found;
        TUFF_TRY(tuff_proto_next(&message, &field, &found));
        if (!found) break;
        if (field.number == 1 && field.wire == TUFF_PROTO_BYTES)
            text = (tuff_piece){field.bytes.data, field.bytes.size};
        else if (field.number == 2 && field.wire == TUFF_PROTO_FIXED32)
            score = float_of(field.value);
        else if (field.number == 3 && field.wire == TUFF_PROTO_VARINT)
            type = field.value > INT32_MAX ? -1 : (int32_t)field.value; /* numbered as Tuff does */
    }
    if (!text.size) return tuff_fail(TUFF_BAD_FORMAT, "%s: piece %zu has no text", f->where, f->pieces.count);
    return add_piece(&f->pieces, text, score, type);
}

static tuff_status read_trainer(file *f, tuff_view bytes)
{
    tuff_proto message = {bytes, f->where};
    tuff_proto_field field;
    for (;;) {
        bool found;
        TUFF_TRY(tuff_proto_next(&message, &field, &found));
        if (!found) return TUFF_OK;
        bool number = field.wire == TUFF_PROTO_VARINT, text = field.wire == TUFF_PROTO_BYTES;
        if (field.number == 3 && number) f->kind = (int64_t)field.value;
        if (field.number == 24 && number) f->suffix = field.value != 0;
        if (field.number == 46 && text) f->bos = field.bytes;
        if (field.number == 47 && text) f->eos = field.bytes;
        if (field.number == 48 && text) f->pad = field.bytes;
    }
}

static tuff_status read_normalizer(file *f, tuff_view bytes)
{
    tuff_proto message = {bytes, f->where};
    tuff_proto_field field;
    for (;;) {
        bool found;
        TUFF_TRY(tuff_proto_next(&message, &field, &found));
        if (!found) return TUFF_OK;
        bool number = field.wire == TUFF_PROTO_VARINT;
        if (field.number == 2 && field.wire == TUFF_PROTO_BYTES) f->charsmap = field.bytes;
        if (field.number == 3 && number) f->prefix = field.value != 0;
        if (field.number == 4 && number) f->merge = field.value != 0;
        if (field.number == 5 && number) f->escape = field.value != 0;
    }
}

static tuff_status read_file(file *f, tuff_view bytes)
{
    tuff_proto message = {bytes, f->where};
    tuff_proto_field field;
    for (;;) {
        bool found;
        TUFF_TRY(tuff_proto_next(&message, &field, &found));
        if (!found) break;
        if (field.wire != TUFF_PROTO_BYTES) continue;
        if (field.number == 1) TUFF_TRY(read_piece(f, field.bytes));
        if (field.number == 2) TUFF_TRY(read_trainer(f, field.bytes));
        if (field.number == 3) TUFF_TRY(read_normalizer(f, field.bytes));
    }
    if (!f->pieces.count) return tuff_fail(TUFF_BAD_FORMAT, "%s: it has no pieces", f->where);
    if (f->kind != UNIGRAM && f->kind != BPE)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: a SentencePiece model of the kind %s is not supported by Tuff, "
                         "expected unigram or bpe",
                         f->where,
                         f->kind == 3   ? "word"
                         : f->kind == 4 ? "char"
                                        : "that is unknown");
    if (f->suffix || !f->escape)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: a SentencePiece model with \"%s\" is not supported by Tuff",
                         f->where, f->suffix ? "treat_whitespace_as_suffix" : "escape_whitespaces: false");
    return TUFF_OK;
}

/* ---- how classes use it ---- */

typedef enum numbering { AS_FILE, WITH_SENTINELS, FAIRSEQ } numbering;

static const struct {
    const char *class; /* what its name begins with */
    numbering numbering;
    bool bos;     /* before each text, unless the config says otherwise */
    bool cls_sep; /* [CLS] text [SEP], second [SEP] */
} classes[] = {
    {"PreTrained", AS_FILE, false, false}, {"TokenizersBackend", AS_FILE, false, false},
    {"T5", WITH_SENTINELS, false, false},  {"MT5", WITH_SENTINELS, false, false},
    {"XLMRoberta", FAIRSEQ, true, false},  {"Albert", AS_FILE, false, true},
    {"DebertaV2", AS_FILE, false, true},   {"Llama", AS_FILE, true, false},
    {"Gemma", AS_FILE, true, false},
};
enum { PLAIN = 0 }; /* the class of those that say nothing */

static tuff_status find_class(const cJSON *config, const char *where, size_t *out)
{
    const char *name = NULL;
    *out = PLAIN;
    TUFF_TRY(tuff_json_text(config, "tokenizer_class", where, &name));
    for (size_t i = 0; name && i < sizeof classes / sizeof *classes; i++) {
        if (!tuff_starts_with(name, classes[i].class)) continue;
        *out = i;
        return TUFF_OK;
    }
    if (!name) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: a SentencePiece model of the tokenizer class \"%.60s\" is not supported "
                     "by Tuff; a tokenizer.json is needed",
                     where, name);
}

static tuff_status add_named(pieces *p, const char *text, int32_t type)
{
    const char *copy = tuff_arena_strdup(&p->arena, text);
    if (!copy) return tuff_fail_memory("the pieces of a tokenizer");
    return add_piece(p, (tuff_piece){copy, strlen(copy)}, 0, type);
}

/* "<extra_id_99>" to "<extra_id_0>" behind the pieces. */
static tuff_status add_sentinels(file *f, const cJSON *config)
{
    int64_t extra = 100;
    TUFF_TRY(tuff_json_int(config, "extra_ids", f->where, &extra));
    if (extra < 0 || extra > MOST_EXTRA)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: \"extra_ids\" is %lld, expected 0 to %d", f->where,
                         (long long)extra, (int)MOST_EXTRA);
    while (extra-- > 0) {
        char name[40];
        snprintf(name, sizeof name, "<extra_id_%lld>", (long long)extra);
        TUFF_TRY(add_named(&f->pieces, name, TUFF_TOKEN_CONTROL));
    }
    return TUFF_OK;
}

/* <s> <pad> </s> <unk>, then the pieces without their first three, then <mask>. */
static tuff_status renumber_fairseq(file *f)
{
    pieces made = {0};
    tuff_status status;
    if (f->pieces.count < 3)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %zu pieces are too few for XLM-RoBERTa", f->where,
                         f->pieces.count);
    TUFF_GO(add_named(&made, "<s>", TUFF_TOKEN_CONTROL));
    TUFF_GO(add_named(&made, "<pad>", TUFF_TOKEN_CONTROL));
    TUFF_GO(add_named(&made, "</s>", TUFF_TOKEN_CONTROL));
    TUFF_GO(add_named(&made, "<unk>", TUFF_TOKEN_UNKNOWN));
    for (size_t i = 3; i < f->pieces.count; i++)
        TUFF_GO(add_piece(&made, f->pieces.texts[i], f->pieces.scores[i], f->pieces.types[i]));
    TUFF_GO(add_named(&made, "<mask>", TUFF_TOKEN_CONTROL));
    pieces swap = f->pieces;
    f->pieces = made;
    made = swap;
done:
    free_pieces(&made);
    return status;
}

static int32_t id_called(const pieces *p, tuff_view text)
{
    for (size_t i = 0; i < p->count; i++) {
        if (tuff_view_equal((tuff_view){p->texts[i].data, p->texts[i].size}, text)) return (int32_t)i;
    }
    return -1;
}

/* As SentencePiece: a name that is not a control's is nobody's. */
static int32_t control_called(const pieces *p, tuff_view text)
{
    int32_t id = id_called(p, text);
    return id >= 0 && p->types[id] == TUFF_TOKEN_CONTROL ? id : -1;
}

/* The one whose type says so; what the trainer was told may be another. */
static int32_t find_unknown(const pieces *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->types[i] == TUFF_TOKEN_UNKNOWN) return (int32_t)i;
    }
    return -1;
}

/* [CLS], [SEP] and [MASK], which are pieces or come behind them. */
static tuff_status name_special(file *f, const cJSON *config, const char *key, const char *name, int32_t *out)
{
    const char *text;
    TUFF_TRY(tuff_config_token(config, key, f->where, &text));
    if (!text) text = name;
    *out = id_called(&f->pieces, tuff_view_of(text));
    if (*out < 0) {
        TUFF_TRY(add_named(&f->pieces, text, TUFF_TOKEN_CONTROL));
        *out = (int32_t)f->pieces.count - 1;
    }
    f->pieces.types[*out] = TUFF_TOKEN_CONTROL;
    return TUFF_OK;
}

/* ALBERT takes "1," apart where a piece holds both. */
static void lower_numbers(pieces *p)
{
    for (size_t i = 0; i < p->count; i++) {
        tuff_piece text = p->texts[i];
        const char *end = text.data + text.size;
        if (text.size > 1 && end[-1] == ',' && end[-2] >= '0' && end[-2] <= '9') p->scores[i] -= 100;
    }
}

static tuff_status add_replacement(tuff_tokenizer *t, const char *what, const char *by, const char *where)
{
    const tuff_normalizer step = {.kind = TUFF_NORMALIZE_REPLACE, .text = tuff_view_of(by)};
    return tuff_add_normalizer(t, step, tuff_view_of(what), where);
}

static tuff_status add_plain(tuff_tokenizer *t, tuff_normalizer_kind kind, const char *where)
{
    return tuff_add_normalizer(t, (tuff_normalizer){.kind = kind}, (tuff_view){NULL, 0}, where);
}

/* What a class does to a text before SentencePiece does. */
static tuff_status add_steps(tuff_tokenizer *t, const cJSON *config, const char *class, const char *where)
{
    bool albert = strcmp(class, "Albert") == 0, lower = albert, accents = !albert, punctuation = false;
    if (!albert && strcmp(class, "DebertaV2") != 0) return TUFF_OK;
    TUFF_TRY(tuff_json_bool(config, "do_lower_case", where, &lower));
    TUFF_TRY(tuff_json_bool(config, "keep_accents", where, &accents));
    TUFF_TRY(tuff_json_bool(config, "split_by_punct", where, &punctuation));
    if (punctuation)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: \"split_by_punct\" is not supported by Tuff", where);
    if (albert) {
        TUFF_TRY(add_replacement(t, "``", "\"", where));
        TUFF_TRY(add_replacement(t, "''", "\"", where));
    }
    if (!accents) TUFF_TRY(add_plain(t, TUFF_NORMALIZE_NFKD, where));
    if (!accents) TUFF_TRY(add_plain(t, TUFF_NORMALIZE_MARKS, where));
    return lower ? add_plain(t, TUFF_NORMALIZE_LOWERCASE, where) : TUFF_OK;
}

static tuff_status describe(file *f, const cJSON *config, size_t class, tuff_vocab_desc *d)
{
    bool bos = classes[class].bos, eos = classes[class].numbering != AS_FILE;
    if (classes[class].numbering == WITH_SENTINELS) TUFF_TRY(add_sentinels(f, config));
    if (classes[class].numbering == FAIRSEQ) TUFF_TRY(renumber_fairseq(f));
    if (strcmp(classes[class].class, "Albert") == 0) lower_numbers(&f->pieces);
    if (classes[class].cls_sep) {
        TUFF_TRY(name_special(f, config, "cls_token", "[CLS]", &d->cls));
        TUFF_TRY(name_special(f, config, "sep_token", "[SEP]", &d->sep));
        TUFF_TRY(name_special(f, config, "mask_token", "[MASK]", &d->mask));
    } else {
        TUFF_TRY(tuff_json_bool(config, "add_bos_token", f->where, &bos));
        TUFF_TRY(tuff_json_bool(config, "add_eos_token", f->where, &eos));
    }
    TUFF_TRY(tuff_json_bool(config, "add_prefix_space", f->where, &f->prefix));
    d->kind = f->kind == BPE ? "llama" : "t5";
    d->size = (uint32_t)f->pieces.count;
    d->tokens = f->pieces.texts;
    d->scores = f->pieces.scores;
    d->types = f->pieces.types;
    d->bos = control_called(&f->pieces, f->bos);
    d->eos = control_called(&f->pieces, f->eos);
    d->pad = control_called(&f->pieces, f->pad);
    d->unk = find_unknown(&f->pieces);
    d->add_bos = bos;
    d->add_eos = eos;
    d->add_space_prefix = f->prefix;
    d->merge_spaces = f->merge;
    d->charsmap = (tuff_piece){f->charsmap.data, f->charsmap.size};
    return TUFF_OK;
}

static tuff_status fill(tuff_tokenizer *t, file *f, tuff_view model, const cJSON *config)
{
    tuff_vocab_desc d = TUFF_VOCAB_DESC_INIT;
    size_t class;
    if (config && !cJSON_IsObject(config))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: its tokenizer_config.json is not an object", f->where);
    TUFF_TRY(find_class(config, f->where, &class));
    TUFF_TRY(read_file(f, model));
    TUFF_TRY(describe(f, config, class, &d));
    TUFF_TRY(add_steps(t, config, classes[class].class, f->where));
    t->model_file = t->unigram.single = true;
    TUFF_TRY(tuff_tokenizer_fill(t, &d, f->where));
    if (classes[class].cls_sep) tuff_template_fill(&t->single, &t->pair, d.cls, d.sep, -1, true);
    return config ? tuff_read_config(t, config, f->where) : TUFF_OK;
}

tuff_status tuff_read_sentencepiece_tokenizer(tuff_view model, tuff_view config, const char *where,
                                              tuff_tokenizer **out_tokenizer)
{
    *out_tokenizer = NULL;
    file f = {.kind = UNIGRAM, .where = where};
    f.bos = tuff_view_of("<s>");
    f.eos = tuff_view_of("</s>");
    f.pad = tuff_view_of("<pad>");
    f.prefix = f.merge = f.escape = true;
    cJSON *tree = NULL;
    tuff_tokenizer *t = NULL;
    tuff_status status;
    if (config.data) TUFF_GO(tuff_json_parse(config.data, config.size, "tokenizer_config.json", &tree));
    TUFF_GO(tuff_tokenizer_new(&t));
    TUFF_GO(fill(t, &f, model, tree));
    if (config.data) t->config = tuff_tokenizer_copy(t, config);
    if (config.data && !t->config.data) {
        status = tuff_fail_memory("a tokenizer");
        goto done;
    }
    *out_tokenizer = t;
    t = NULL;
done:
    tuff_tokenizer_destroy(&t);
    cJSON_Delete(tree);
    free_pieces(&f.pieces);
    return status;
}

tuff_status tuff_tokenizer_from_sentencepiece(const void *model, size_t model_size, const char *config,
                                              size_t config_size, const char *where,
                                              tuff_tokenizer **out_tokenizer)
{
    TUFF_NEED_OUT(out_tokenizer);
    TUFF_NEED(model);
    TUFF_NEED_MANY(config, config_size);
    TUFF_NEED(where);
    return tuff_read_sentencepiece_tokenizer((tuff_view){model, model_size}, (tuff_view){config, config_size},
                                             where, out_tokenizer);
}
