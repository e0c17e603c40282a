/* Data files that are damaged, or of somebody who means harm: each gives its counts, or one clear sentence
 * and nothing is left behind. */
#include "base/memory.h"
#include "kit/command.h"

/* What the file is for, and the model. */
typedef enum kind { CLASSES, NUMBERS, TOKENS, ANSWERS, SEQ2SEQ, MLM, SFT, PAIRS, KTO, SCORED, TEXT } kind;

typedef struct hostile {
    kind kind;
    const char *name, *text;
    size_t size;
    int64_t examples, malformed; /* counted; 0 examples: it is refused, */
    const char *part;            /* with this; of what is counted: said beside the counts, or NULL */
} hostile;

#define FILE_OF(kind, name, text) kind, name, text, sizeof(text) - 1
#define GOOD                      "w5,bad\nw6,good\n"
#define CHAT(answer)                                                                                           \
    "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": " answer \
    "}]}\n"
#define PAIR "{\"prompt\": \"a\", \"chosen\": \" yes\", \"rejected\": \" no\"}\n"
#define PAST \
    "{\"question\": \"w5\", \"context\": \"w6 w7\", \"answers\": {\"text\": [\"w7\"], \"answer_start\": [3]}}\n"
#define WORDS "{\"tokens\": [\"w5\", \"w6\"], \"labels\": [\"A\", \"B\"]}\n"

static const hostile files[] = {
    /* nothing there, or nothing that is text */
    {FILE_OF(CLASSES, "a.csv", ""), 0, 0, "a.csv is empty"},
    {FILE_OF(CLASSES, "a.csv", "\xef\xbb\xbf"), 0, 0, "a.csv is empty"},
    {FILE_OF(CLASSES, "a.jsonl", ""), 0, 0, "a.jsonl has no records"},
    {FILE_OF(CLASSES, "a.json", "[]"), 0, 0, "a.json has no records"},
    {FILE_OF(CLASSES, "a.csv", "text,label\n"), 0, 0, "a.csv has no records"},
    {FILE_OF(CLASSES, "a.tsv", "\n\n\n"), 0, 0, "a.tsv is empty"},
    {FILE_OF(MLM, "a.txt", "\n \n\n"), 0, 0, "a.txt has no records"},
    {FILE_OF(SFT, "a.jsonl", "\n\n"), 0, 0, "has no records"},
    {FILE_OF(TEXT, "a.txt", ""), 0, 0, "a.txt is empty; expected text"},
    {FILE_OF(TEXT, "a.txt", "a"), 0, 0, "at least 2 are needed"},
    /* encodings */
    {FILE_OF(CLASSES, "a.csv", "\xff\xfet\0e\0x\0t\0,\0l\0a\0b\0e\0l\0\n\0"), 0, 0, "is UTF-16"},
    {FILE_OF(MLM, "a.txt", "\xfe\xff\0w\0005\0\n"), 0, 0, "is UTF-16"},
    {FILE_OF(CLASSES, "a.csv", "text,label\n" GOOD "\xe9t\xe9,bad\n"), 2, 1, "line 4: its text is not UTF-8"},
    {FILE_OF(CLASSES, "a.tsv",
             "text\tlabel\nw5\tbad\nw6\tgood\nw7\tb\xe4"
             "d\n"),
     2, 1, "line 4: its text is not UTF-8"},
    {FILE_OF(CLASSES, "a.csv", "text,label\n" GOOD "w\0007,bad\n"), 2, 1, "line 4: it has a NUL byte"},
    {FILE_OF(MLM, "a.txt", "w5 w6\n\xed\xa0\x80\n\xc0\x80\nw7\n"), 2, 2, "line 2: its text is not UTF-8"},
    {FILE_OF(MLM, "a.txt",
             "\x7f"
             "ELF\2\1\1\0\0\0\0\xfe\n\x8f\0\1\n"),
     0, 0, "all 2 records of the file are malformed"},
    {FILE_OF(SFT, "a.jsonl", CHAT("\"b\"") CHAT("\"\\ud800\"") CHAT("\"\xff\"")), 1, 2, "line 2"},
    {FILE_OF(SEQ2SEQ, "a.tsv", "source\ttarget\na\tb\n\xa0\tb\n"), 1, 1, "line 3"},
    {FILE_OF(TEXT, "a.txt", "Caf\xe9 au lait, encore une fois"), 0, 0, "the byte 0xe9 at offset 3"},
    {FILE_OF(TEXT, "a.txt", "once\0upon a time"), 0, 0, "NUL byte at offset 4"},
    /* line ends */
    {FILE_OF(CLASSES, "a.csv", "\xef\xbb\xbftext,label\r\n\"w5\r\nw6\",bad\r\nw6,good\r\n"), 2, 0, NULL},
    {FILE_OF(CLASSES, "a.csv", "text,label\rw5,bad\rw6,good\r"), 0, 0, "line 1: a line ends with \\r alone"},
    {FILE_OF(PAIRS, "a.jsonl", "{\"prompt\": \"a\", \"chosen\": \" yes\", \"rejected\": \" no\"}\r\n\r\n"), 1,
     0, NULL},
    /* JSON */
    {FILE_OF(CLASSES, "a.jsonl",
             "{\"text\": \"w5\", \"label\": \"a\"}\n{\"text\": \"w5\", \"text\": \"w6\", \"label\": \"a\"}\n"
             "{\"text\": \"w5\", \"label\": \"b\"}\n"),
     2, 1, "line 2"},
    {FILE_OF(CLASSES, "a.json",
             "[{\"text\": \"w5\", \"label\": \"a\"}, {\"text\": \"w6\", \"label\": \"b\"}"),
     2, 1, "not closed"},
    {FILE_OF(CLASSES, "a.json",
             "[{\"text\": \"w5\", \"label\": \"a\"}, {\"text\": \"w6\", \"label\": \"b\"}] [1]"),
     2, 1, "something follows"},
    {FILE_OF(CLASSES, "a.json", "{\"data\": [\n{\"text\": \"w5\"},\n{\"text\": \"w6\"}\n]}\n"), 0, 0,
     "all 4 records of the file are malformed"},
    {FILE_OF(CLASSES, "a.jsonl", "null\ntrue\n\"text\"\n1e999\n{\n"), 0, 0, "a.jsonl, line 1"},
    {FILE_OF(SFT, "a.jsonl", CHAT("\"b\"") "{\"messages\": [{\"role\": \"us"), 1, 1, "line 2"},
    /* fields */
    {FILE_OF(CLASSES, "a.csv", "text,class\n" GOOD), 0, 0, "has no column \"label\""},
    {FILE_OF(CLASSES, "a.csv", "text,label,label\nw5,a,b\n"), 0, 0,
     "two of its columns are called \"label\""},
    {FILE_OF(CLASSES, "a.csv", "text,label\n" GOOD "w7\n,bad\nw7,\nw7,bad,more\n"), 2, 4, "line 4"},
    {FILE_OF(CLASSES, "a.csv", "text,label\n" GOOD "\"w7,bad\nw8,good\n"), 2, 1, "a quote is not closed"},
    {FILE_OF(CLASSES, "a.jsonl",
             "{\"text\": \"w5\", \"label\": \"a\"}\n{\"text\": [\"w6\"], \"label\": \"b\"}\n"
             "{\"text\": \"w6\", \"label\": {\"b\": 1}}\n{\"text\": \"w6\", \"label\": \"b\"}\n"),
     2, 2, "line 2: its \"text\" is a list"},
    {FILE_OF(CLASSES, "a.jsonl",
             "{\"text\": \"w5\", \"label\": 1}\n{\"text\": \"w6\", \"label\": \"1\"}\n"
             "{\"text\": \"w6\", \"label\": \"good\"}\n{\"text\": \"w6\", \"label\": 0.5}\n"),
     4, 0, "3 of 4 labels are numbers and the others texts"},
    {FILE_OF(CLASSES, "a.jsonl",
             "{\"text\": \"w5\", \"label\": [\"a\", 1]}\n{\"text\": \"w6\", \"label\": [null]}\n"
             "{\"text\": \"w6\", \"label\": []}\n{\"text\": \"w6\", \"label\": [\"b\", \"\"]}\n"),
     2, 2, "line 2: its labels must be texts or numbers"},
    {FILE_OF(CLASSES, "a.jsonl", "{\"text\": \"w5\", \"label\": null}\n{\"label\": \"a\"}\n{}\n"), 0, 0,
     "its \"label\" is null"},
    {FILE_OF(NUMBERS, "a.csv", "text,label\nw5,0.5\nw6,1e300\nw7,nan\nw7,-inf\nw7,0x10\nw7,-1e-3\n"), 2, 4,
     "line 3: its label is \"1e300\", expected a number"},
    {FILE_OF(TOKENS, "a.jsonl",
             WORDS "{\"tokens\": [\"w5\"], \"labels\": []}\n{\"tokens\": \"w5\", \"labels\": \"A\"}\n"
                   "{\"tokens\": [[\"w5\"]], \"labels\": [\"A\"]}\n{\"tokens\": [], \"labels\": []}\n"),
     1, 4, "line 2: it has 1 words and 0 labels"},
    {FILE_OF(TOKENS, "a.jsonl",
             WORDS "{\"tokens\": [\"w5\", \"w6\"], \"labels\": [\"A\", null]}\n"
                   "{\"tokens\": [\"w5\", \"\", \" \"], \"labels\": [\"A\", 7, -100]}\n"),
     2, 1, "line 2: its labels must be"},
    {FILE_OF(TOKENS, "a.csv",
             "tokens,labels\n\"[\"\"w5\"\", \"\"w6\"\"]\",\"[\"\"A\"\", \"\"B\"\"]\"\nw5,A\n"),
     1, 1, "must be lists"},
    {FILE_OF(
         ANSWERS, "a.jsonl",
         PAST
         "{\"question\": \"w5\", \"context\": \"w6\", \"answers\": {\"text\": [\"w6\"], \"answer_start\": [-1]}}\n"
         "{\"question\": \"w5\", \"context\": \"w6\", \"answers\": {\"text\": [\"w6\"], \"answer_start\": [1e308]}}\n"
         "{\"question\": \"w5\", \"context\": \"w6\", \"answers\": {\"text\": [\"w6\", \"w7\"], \"answer_start\": [0]}}\n"),
     1, 3, "line 2: its answer"},
    {FILE_OF(
         ANSWERS, "a.jsonl",
         PAST
         "{\"question\": \"w5\", \"context\": \"\", \"answers\": []}\n{\"question\": \"w5\", \"context\": \"w6\"}\n"
         "{\"question\": \"w5\", \"context\": \"w6\", \"answers\": [7]}\n{\"question\": 5, \"context\": [\"w6\"], \"answers\": []}\n"),
     1, 4, "line 2: its context is empty"},
    {FILE_OF(
         SEQ2SEQ, "a.jsonl",
         "{\"source\": \"a\", \"target\": \"b\"}\n{\"source\": \"a\"}\n{\"source\": null, \"target\": \"b\"}\n"
         "{\"source\": 7, \"target\": true}\n{\"source\": {}, \"target\": \"b\"}\n"),
     2, 3, "line 2: its \"target\" is missing"},
    {FILE_OF(MLM, "a.jsonl",
             "{\"text\": \"w5 w6\"}\n{\"text\": [\"w5\"]}\n{\"txt\": \"w5\"}\n{\"text\": \"\"}\n"),
     1, 2, "line 2: its \"text\" is a list"},
    /* conversations */
    {FILE_OF(SFT, "a.jsonl", "{\"text\": \"a\"}\n" CHAT("\"b\"") CHAT("7") CHAT("{}") CHAT("null")), 1, 4,
     "line 1: it is no conversation"},
    {FILE_OF(SFT, "a.jsonl", "{\"messages\": [], \"conversations\": []}\n"), 0, 0, "in more than one way"},
    {FILE_OF(
         SFT, "a.jsonl",
         CHAT(
             "\"b\"") "{\"messages\": {}}\n{\"messages\": []}\n{\"messages\": [7]}\n{\"messages\": [{\"content\": \"a\"}]}\n"
                      "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n"),
     1, 5, "line 2"},
    {FILE_OF(SFT, "a.jsonl",
             CHAT("\"b\"") CHAT("[{\"type\": \"image\"}]") CHAT("[{\"type\": \"text\", \"text\": 7}]")
                 CHAT("\" \"")),
     1, 2, "Tuff learns from text alone"},
    {FILE_OF(
         SFT, "a.jsonl",
         CHAT(
             "\"b\"") "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}], \"tools\": 7}\n"
                      "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}], \"chat_template_kwargs\": \"{\"}\n"),
     1, 2, "its \"tools\" is a number"},
    {FILE_OF(SFT, "a.csv", "prompt,completion\na, b\na,b,c\n\"a\n"), 1, 2, "line 3: it has 3 columns"},
    {FILE_OF(SFT, "a.txt", "Once upon a time\n"), 0, 0, "a.txt is text, expected records"},
    /* preferences */
    {FILE_OF(
         PAIRS, "a.jsonl",
         PAIR
         "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"b\"}\n{\"prompt\": \"a\", \"chosen\": \"b\"}\n"
         "{\"prompt\": 7, \"chosen\": \"b\", \"rejected\": \"c\"}\n{\"chosen\": \"x\", \"rejected\": \"y\"}\n"
         "{\"prompt\": \"a\", \"chosen\": [], \"rejected\": []}\n"),
     1, 5, "are the same"},
    {FILE_OF(
         PAIRS, "a.jsonl",
         PAIR
         "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": [{\"role\": \"assistant\", \"content\": \"c\"}]}\n7\n"),
     0, 0, "line 2: the model has no chat template"},
    {FILE_OF(
         KTO, "a.jsonl",
         "{\"prompt\": \"a\", \"completion\": \" b\", \"label\": true}\n{\"prompt\": \"a\", \"completion\": \" c\", \"label\": \"False\"}\n"
         "{\"prompt\": \"a\", \"completion\": \" b\", \"label\": \"maybe\"}\n{\"prompt\": \"a\", \"completion\": \" b\", \"label\": 2}\n"
         "{\"prompt\": \"a\", \"completion\": \" b\"}\n"),
     2, 3, "line 3: its \"label\" is a text \"maybe\""},
    /* vectors */
    {FILE_OF(SCORED, "a.csv", "sentence1,sentence2,score\nw5,w6,0.5\nw5,,0.1\nw5,w7,good\nw6,w7,0.2\n"), 2, 2,
     "line 3: its \"sentence2\" is empty"},
    {FILE_OF(SCORED, "a.csv", "sentence1,sentence2,score\nw5,w6,0.5\nw6,w7,4.5\n"), 0, 0,
     "line 3: its score is 4.5"},
    {FILE_OF(SCORED, "a.csv", "sentence1,sentence2\nw5,w6\n"), 0, 0, "has no column \"score\""},
    {FILE_OF(
         SCORED, "a.jsonl",
         "{\n{\"sentence1\": \"w5\", \"sentence2\": \"w6\", \"score\": 0.1}\n"
         "{\"sentence1\": \"w5\", \"sentence2\": \"w7\", \"score\": true}\n{\"sentence1\": \"w5\", \"sentence2\": \"w7\", \"score\": 1}\n"),
     2, 2, "line 1 is not valid JSON"},
    /* texts */
    {FILE_OF(TEXT, "a.txt", "{\"text\": \"Once upon a time\"}\n"), 0, 0, "begins with a JSON record"},
    {FILE_OF(TEXT, "a.csv", "words\nOnce upon a time\n"), 0, 0, "has no column \"text\""},
    {FILE_OF(TEXT, "a.csv", "text\nOnce upon a time\n"), 1, 0, "is what its records have as \"text\""},
    {FILE_OF(TEXT, "a.csv", "text,more\nOnce upon a time,1\nOnce upon, a time,2\n"), 1, 1,
     "it has 3 columns"},
    {FILE_OF(TEXT, "a.tsv", "id\ttext\n1\tOnce upon a time\n2\n"), 1, 1, "it has 1 column, "},
    {FILE_OF(TEXT, "a.jsonl", "{\"text\": \"Once upon a time\"}\n{\"text\": 4"), 1, 1, "line 2"},
    {FILE_OF(TEXT, "a.json", "[{\"text\": \"Once upon a time\"}, {\"text\": [1]}]"), 1, 1, "is a list"},
    {FILE_OF(TEXT, "a.json", "Once upon a time"), 0, 0, "--train-file-format text"},
    {FILE_OF(TEXT, "a.jsonl",
             "{\"text\": \"Caf\xe9 au lait, once more\"}\n{\"text\": \"Once upon a time\"}\n"),
     1, 1, "line 1"},
};

/* ---- running them */

static const char *models[TEXT + 1];

static const char *with_words(const char *name)
{
    const char *path = kit_copy_model(kit_golden(name), name), *tasks = kit_golden("tasks");
    kit_copy_file(kit_join(tasks, "tokenizer.json"), kit_join(path, "tokenizer.json"));
    kit_copy_file(kit_join(tasks, "tokenizer_config.json"), kit_join(path, "tokenizer_config.json"));
    return path;
}

static int setup(void **state)
{
    const char *words = with_words("bert"), *bytes = kit_golden("llama");
    for (int k = 0; k <= TEXT; k++)
        models[k] = k < SFT || k == SCORED ? words : bytes;
    models[MLM] = with_words("bert-mlm");
    models[SEQ2SEQ] = kit_golden("t5-gated");
    return kit_command_setup(state);
}

static const char *const settings[][5] = {
    [CLASSES] = {"--task", "classification"},
    [NUMBERS] = {"--task", "classification", "--problem-type", "regression"},
    [TOKENS] = {"--task", "token-classification"},
    [ANSWERS] = {"--task", "qa", "--max-length", "16"},
    [SEQ2SEQ] = {"--task", "seq2seq", "--max-length", "64"},
    [MLM] = {"--task", "mlm"},
    [SFT] = {"--task", "sft", "--chat-template", "chatml"},
    [PAIRS] = {"--task", "preference"},
    [KTO] = {"--task", "preference", "--loss", "kto"},
    [SCORED] = {"--task", "embedding", "--loss", "cosine"},
    [TEXT] = {"--block-size", "8"}};

/* Counts are asked for with --dry-run, which also runs a step; a refusal must come before anything is
 * written. */
static void run(const hostile *h, const char *path)
{
    const char *arguments[16] = {"train",         "--model",     models[h->kind],
                                 "--train-file",  path,          "--output-dir",
                                 kit_path("out"), "--max-steps", "1"};
    size_t n = 9;
    for (size_t i = 0; settings[h->kind][i]; i++)
        arguments[n++] = settings[h->kind][i];
    if (!h->examples) {
        kit_expect_refusal(1, h->part, arguments);
        return;
    }
    arguments[n++] = "--json";
    arguments[n++] = "--dry-run";
    const int entries = kit_count_entries(kit_temp_directory());
    kit_result r = kit_expect_success(arguments);
    cJSON *found = kit_parse(r.out.data, r.out.size);
    const cJSON *data = cJSON_GetObjectItem(found, "data");
    if (kit_number(data, "examples") != (double)h->examples ||
        kit_number(data, "malformed") != (double)h->malformed || (h->part && !strstr(r.err.data, h->part)))
        fail_msg("%s gave %g examples and %g malformed ones: %s", path, kit_number(data, "examples"),
                 kit_number(data, "malformed"), r.err.data);
    assert_int_equal(kit_count_entries(kit_temp_directory()), entries);
    cJSON_Delete(found);
    kit_result_free(&r);
}

static void files_are_counted_or_refused(void **state)
{
    (void)state;
    assert_true(sizeof files / sizeof *files >= 50);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = kit_path(files[i].name);
        kit_write_file(path, files[i].text, files[i].size);
        run(&files[i], path);
        remove(path);
    }
}

/* A text around `times` others. */
static void repeat(tuff_buf *out, const char *before, const char *one, size_t times, const char *behind)
{
    tuff_buf_clear(out);
    tuff_buf_text(out, before);
    for (size_t i = 0; i < times; i++)
        tuff_buf_text(out, one);
    tuff_buf_text(out, behind);
    assert_false(out->failed);
}

/* ---- large ones */

static void large_ones_are_counted_or_refused(void **state)
{
    (void)state;
    static const struct {
        kind kind;
        const char *name, *before, *one;
        size_t times;
        const char *behind;
        int64_t examples, malformed;
        const char *part;
    } large[] = {
        {CLASSES, "a.jsonl", "{\"text\": \"w5\", \"label\": \"a\"}\n{\"text\": ", "[", 100000,
         "\n{\"text\": \"w5\", \"label\": \"b\"}\n", 2, 1, "line 2"},
        {SFT, "a.jsonl", CHAT("\"b\"") "{\"messages\": ", "{\"a\":", 100000, "\n", 1, 1, "line 2"},
        {CLASSES, "a.csv", "text,label\n" GOOD "\"", "w5 ", 500000, "\",bad\n", 3, 0, NULL},
        {CLASSES, "a.csv", "text,label\n" GOOD, ",", 5000, "\n", 2, 1, "4096 columns"},
        {CLASSES, "a.csv", "text,label", ",x", 5000, "\nw5,bad\n", 0, 0, "4096 columns"},
        {CLASSES, "a.jsonl", "{\"text\": \"w5\", \"label\": \"a\"}\n{\"text\": \"w5\", \"label\": \"", "long",
         100000, "\"}\n", 2, 0, NULL},
        {TOKENS, "a.jsonl", WORDS "{\"labels\": [], \"tokens\": [\"w5\"", ", \"w5\"", 100000, "]}\n", 1, 1,
         "100001 words and 0 labels"},
        {MLM, "a.txt", "w5 w6\n", "w5 ", 500000, "\nw7", 3, 0, NULL},
        {MLM, "a.jsonl", "{\"text\": \"w5 w6\"}\n", "garbage\n", 20000, "", 1, 20000,
         "line 4 is not valid JSON"},
    };
    tuff_buf text = {0};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        const char *path = kit_path(large[i].name);
        const hostile h = {large[i].kind,     large[i].name,      NULL,         0,
                           large[i].examples, large[i].malformed, large[i].part};
        repeat(&text, large[i].before, large[i].one, large[i].times, large[i].behind);
        kit_write_file(path, text.data, text.size);
        run(&h, path);
        remove(path);
    }
    tuff_buf_free(&text);
}

/* A split without examples, or with labels that the other does not have; --strict. */
static void splits_are_looked_at(void **state)
{
    (void)state;
    const char *good = kit_path("good.csv"), *bad = kit_path("bad.csv"), *empty = kit_path("empty.csv"),
               *mixed = kit_path("mixed.csv");
    kit_write_file(good, "text,label\n" GOOD, sizeof("text,label\n" GOOD) - 1);
    kit_write_file(bad, "text,label\nw5,bad\nw6,awful\n", 28);
    kit_write_file(empty, "text,label\n", 11);
    kit_write_file(mixed, "text,label\n" GOOD "w7\n", sizeof("text,label\n" GOOD "w7\n") - 1);
#define REFUSED(code, part, ...)                                                                             \
    KIT_REFUSES(code, part, "train", "--model", models[CLASSES], "--task", "classification", "--output-dir", \
                kit_path("out"), __VA_ARGS__)
    REFUSED(1, "empty.csv has no records", "--train-file", good, "--validation-file", empty);
    REFUSED(1, "line 3: its label \"awful\" is none of bad, good", "--train-file", good, "--validation-file",
            bad);
    REFUSED(1, "mixed.csv, line 4: it has 1 column", "--train-file", mixed, "--strict");
    REFUSED(1, "mixed.csv, line 4", "--train-file", good, "--validation-file", mixed, "--strict");
    KIT_REFUSES(2, "--strict is of tasks that learn from records", "train", "--model", models[TEXT],
                "--train-file", kit_text(), "--output-dir", kit_path("out"), "--strict");
    KIT_REFUSES(2, "--strict is of records, and files that are taken as text have none", "train", "--model",
                models[TEXT], "--train-file", good, "--train-file-format", "text", "--output-dir",
                kit_path("out"), "--strict");
    KIT_REFUSES(2, "--strict is of records, and files that are taken as text have none", "eval", "--model",
                models[TEXT], "--file", good, "--file-format", "text", "--strict");
}

static int times(const char *text, const char *part)
{
    int n = 0;
    while ((text = strstr(text, part))) {
        text += strlen(part);
        n++;
    }
    return n;
}

/* Once, also where the library says it, and not where nothing is to be said. */
static void what_the_text_is_is_said(void **state)
{
    (void)state;
    static const char said[] = "records have as \"text\"";
    const char *file = kit_path("texts.jsonl");
    tuff_buf text = {0};
    for (int i = 0; i < 20; i++)
        tuff_buf_text(&text, "{\"text\": \"w5 w6 w7 w8 w9\"}\n");
    kit_write_file(file, text.data, text.size);
    tuff_buf_free(&text);
    for (int i = 0; i < 3; i++) {
        const char *how = i == 1 ? "--quiet" : i == 2 ? "--verbose" : NULL;
        kit_result r = KIT_TUFF("eval", "--model", models[TEXT], "--task", "causal-lm", "--file", file,
                                "--block-size", "8", "--device", "cpu", how);
        if (r.exit_code || times(r.err.data, said) != (i != 1))
            fail_msg("%s: status %d, \"%s\"", how ? how : "neither", r.exit_code, r.err.data);
        kit_result_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_counted_or_refused),
        cmocka_unit_test(large_ones_are_counted_or_refused),
        cmocka_unit_test(splits_are_looked_at),
        cmocka_unit_test(what_the_text_is_is_said),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
