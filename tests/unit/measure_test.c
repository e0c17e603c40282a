/* Embedders are measured: the figures are those of all cosines, looked at one by one, and files that cannot
 * be measured with are refused with their line. */
#include <math.h>
#include <stdio.h>
#include <tuff/measure.h>

#include "kit/files.h"
#include "model_fixture.h"
#include "train/pairs.h"
#include "train/qrels.h"

enum { D = 32, DOCUMENTS = 30, QUERIES = 5, PAIRS = 7 };

static tuff_device *device;
static tuff_model *model;
static tuff_embedder *embedder;

static int set_up(void **state)
{
    (void)state;
    device = kit_cpu();
    model = model_open("llama");
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    params.normalize = TUFF_NORMALIZE_NO; /* cosines do not ask for length 1 */
    KIT_OK(tuff_embedder_create(model, device, &params, &embedder));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tuff_embedder_destroy(&embedder);
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
    return 0;
}

static const char *file(const char *name, const char *text)
{
    const char *path = kit_path(name);
    kit_write_file(path, text, strlen(text));
    return path;
}

static double cosine_of(const char *a, const char *b)
{
    float x[2 * D];
    double xx = 0, yy = 0, xy = 0;
    const char *texts[] = {a, b};
    KIT_OK(tuff_embed(embedder, texts, NULL, 2, NULL, x, NULL));
    for (int i = 0; i < D; i++) {
        xx += (double)x[i] * (double)x[i];
        yy += (double)x[D + i] * (double)x[D + i];
        xy += (double)x[i] * (double)x[D + i];
    }
    return xy / sqrt(xx * yy);
}

/* ---- pairs ---- */

static const char *const firsts[PAIRS] = {"the ship", "a bell",  "old rope", "the sea",
                                          "",         "a storm", "the crew"};
static const char *const seconds[PAIRS] = {"a ship", "a bell", "new rope, and a mast", "land",
                                           "a lamp", "wind",   "the captain"};
static const double scores[PAIRS] = {4, 5, 3, 0.5, 0.5, 2, 1};

static double correlation(const double *x, const double *y, int n)
{
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < n; i++) {
        mx += x[i] / n;
        my += y[i] / n;
    }
    for (int i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xy / sqrt(xx * yy);
}

/* By counting those below and those equal. */
static void rank(const double *x, int n, double *out)
{
    for (int i = 0; i < n; i++) {
        int below = 0, equal = 0;
        for (int k = 0; k < n; k++) {
            below += x[k] < x[i];
            equal += x[k] == x[i];
        }
        out[i] = below + (equal + 1) / 2.0;
    }
}

static void pairs_give_correlations(void **state)
{
    (void)state;
    tuff_buf csv = {0}, jsonl = {0};
    double cosines[PAIRS], ranks[PAIRS], wanted[PAIRS];
    tuff_buf_text(&csv, "id,s1,s2,label\n");
    for (int i = 0; i < PAIRS; i++) {
        tuff_buf_printf(&csv, "%d,%s,\"%s\",%g\n", i, firsts[i], seconds[i], scores[i]);
        tuff_buf_printf(&jsonl, "{\"score\": %g, \"sentence1\": \"%s\", \"sentence2\": \"%s\"}\n\n",
                        scores[i], firsts[i], seconds[i]);
        cosines[i] = cosine_of(firsts[i], seconds[i]);
    }
    rank(cosines, PAIRS, ranks);
    rank(scores, PAIRS, wanted);
    tuff_sts_params params = TUFF_STS_PARAMS_INIT;
    tuff_sts_result r = TUFF_STS_RESULT_INIT;
    KIT_OK(tuff_measure_sts(embedder, file("pairs.jsonl", jsonl.data), NULL, &r));
    assert_int_equal(r.pairs, PAIRS);
    assert_true(fabs(r.pearson - correlation(cosines, scores, PAIRS)) < 1e-9);
    assert_true(fabs(r.spearman - correlation(ranks, wanted, PAIRS)) < 1e-9);
    tuff_sts_result again = TUFF_STS_RESULT_INIT;
    params.sentence1 = "s1";
    params.sentence2 = "s2";
    params.score = "label";
    KIT_OK(tuff_measure_sts(embedder, file("pairs.csv", csv.data), &params, &again));
    assert_memory_equal(&r, &again, sizeof r);
    tuff_buf_free(&csv);
    tuff_buf_free(&jsonl);
}

static void pairs_that_cannot_be_measured(void **state)
{
    (void)state;
    tuff_sts_result r = TUFF_STS_RESULT_INIT;
#define REFUSES(name, text, status, part) \
    KIT_FAILS(tuff_measure_sts(embedder, file(name, text), NULL, &r), status, part)
    REFUSES("a.csv", "sentence1,text,score\na,b,1\n", TUFF_INVALID_ARGUMENT,
            "has no column \"sentence2\"; its first row names sentence1, text, score");
    REFUSES("b.jsonl", "{\"sentence1\": \"a\", \"score\": 1}\n", TUFF_BAD_FORMAT,
            "line 1: its \"sentence2\" is missing");
    REFUSES("c.csv", "sentence1,sentence2,score\na,b,1\na,b,high\n", TUFF_BAD_FORMAT,
            "line 3: its \"score\" is \"high\", expected a number such as 4.5");
    REFUSES("d.csv", "sentence1,sentence2,score\na,b,\n", TUFF_BAD_FORMAT, "line 2: its \"score\" is \"\"");
    REFUSES("e.csv", "sentence1,sentence2,score\na,b,NaN\n", TUFF_BAD_FORMAT, "its \"score\" is \"NaN\"");
    REFUSES("f.csv", "sentence1,sentence2,score\na,b,5\n", TUFF_INVALID_ARGUMENT,
            "has 1 pair of texts; a correlation needs at least two");
    REFUSES("g.csv", "sentence1,sentence2,score\n", TUFF_INVALID_ARGUMENT, "has 0 pairs");
    REFUSES("h.csv", "sentence1,sentence2,score\na,b,5\nc,d,5\n", TUFF_INVALID_ARGUMENT, "all scores are 5");
    REFUSES("i.txt", "a b 5\n", TUFF_INVALID_ARGUMENT, "3 fields are asked for of lines of text");
#undef REFUSES
    KIT_FAILS(tuff_measure_sts(embedder, kit_path("none.csv"), NULL, &r), TUFF_NOT_FOUND, "none.csv");
}

/* ---- search ---- */

static const char *const words[] = {"ship", "bell", "rope", "sea",   "lamp",
                                    "wind", "crew", "mast", "storm", "land"};
static char documents[DOCUMENTS][64], queries[QUERIES][64];

/* Query q wants these, and one that is not there. */
static bool wants(int q, int document)
{
    return (document * 7 + q) % 5 == 0;
}

static void make_texts(tuff_buf *docs, tuff_buf *asked, tuff_buf *trec, tuff_buf *beir)
{
    tuff_buf_text(beir, "query-id\tcorpus-id\tscore\n");
    for (int i = 0; i < DOCUMENTS; i++) {
        snprintf(documents[i], sizeof documents[i], "the %s and the %s %d", words[i % 10], words[i / 3],
                 i % 4);
        tuff_buf_printf(docs, "{\"_id\": \"d%d\", \"title\": \"x\", \"text\": \"%s\"}\n", i, documents[i]);
    }
    for (int q = 0; q < QUERIES; q++) {
        snprintf(queries[q], sizeof queries[q], "a %s", words[2 * q]);
        tuff_buf_printf(asked, "{\"_id\": \"q%d\", \"text\": \"%s\"}\n", q, queries[q]);
        for (int i = 0; i < DOCUMENTS; i++) {
            tuff_buf_printf(trec, "q%d 0 d%d %d\n", q, i, wants(q, i) ? 1 + i % 3 : -(i % 2));
            if (wants(q, i)) tuff_buf_printf(beir, "q%d\td%d\t1\n", q, i);
        }
        tuff_buf_printf(trec, "q%d  0\tgone%d 1\n\nq%d 0 gone%d 2\n", q, q, q, q); /* twice is once */
        tuff_buf_printf(beir, "q%d\tgone%d\t1\n", q, q);
    }
    tuff_buf_text(asked, "{\"_id\": \"unjudged\", \"text\": \"?\"}\n");
}

/* The figures of one query from all cosines. */
static void add_query(int q, tuff_retrieval_result *sum)
{
    double cosines[DOCUMENTS], gain = 0, best = 0, precisions = 0, found = 0, all = 1;
    static const int ranks[] = TUFF_RETRIEVAL_RANK_LIST;
    bool first = true;
    for (int i = 0; i < DOCUMENTS; i++) {
        cosines[i] = cosine_of(queries[q], documents[i]);
        all += wants(q, i);
    }
    for (int place = 1; place <= DOCUMENTS; place++) {
        int at = 0;
        for (int i = 1; i < DOCUMENTS; i++)
            if (cosines[i] > cosines[at]) at = i;
        cosines[at] = -2;
        if (place <= 10 && place <= all) best += 1 / log2(place + 1);
        if (wants(q, at)) {
            found++;
            precisions += found / place;
            if (place <= 10) gain += 1 / log2(place + 1);
            if (place <= 10 && first) sum->mrr_at_10 += 1.0 / place / QUERIES;
            first = false;
        }
        for (int k = 0; k < TUFF_RETRIEVAL_RANKS; k++)
            if (ranks[k] == place || (place == DOCUMENTS && ranks[k] > place)) {
                sum->accuracy[k] += (found > 0) / (double)QUERIES;
                sum->precision[k] += found / ranks[k] / QUERIES;
                sum->recall[k] += found / all / QUERIES;
            }
    }
    sum->ndcg_at_10 += gain / best / QUERIES;
    sum->map_at_100 += precisions / all / QUERIES;
}

static void search_gives_its_figures(void **state)
{
    (void)state;
    tuff_buf docs = {0}, asked = {0}, trec = {0}, beir = {0};
    make_texts(&docs, &asked, &trec, &beir);
    const char *d = file("docs.jsonl", docs.data), *q = file("queries.jsonl", asked.data);
    tuff_retrieval_result r = TUFF_RETRIEVAL_RESULT_INIT, again = TUFF_RETRIEVAL_RESULT_INIT,
                          wanted = TUFF_RETRIEVAL_RESULT_INIT;
    KIT_OK(tuff_measure_retrieval(embedder, d, q, file("qrels.txt", trec.data), NULL, &r));
    KIT_OK(tuff_measure_retrieval(embedder, d, q, file("qrels.tsv", beir.data), NULL, &again));
    assert_memory_equal(&r, &again, sizeof r);
    assert_int_equal(r.queries, QUERIES);
    assert_int_equal(r.documents, DOCUMENTS);
    assert_int_equal(r.missing, QUERIES);
    for (int i = 0; i < QUERIES; i++)
        add_query(i, &wanted);
    assert_true(fabs(r.ndcg_at_10 - wanted.ndcg_at_10) < 1e-9);
    assert_true(fabs(r.mrr_at_10 - wanted.mrr_at_10) < 1e-9);
    assert_true(fabs(r.map_at_100 - wanted.map_at_100) < 1e-9);
    for (int k = 0; k < TUFF_RETRIEVAL_RANKS; k++) {
        assert_true(fabs(r.accuracy[k] - wanted.accuracy[k]) < 1e-9);
        assert_true(fabs(r.precision[k] - wanted.precision[k]) < 1e-9);
        assert_true(fabs(r.recall[k] - wanted.recall[k]) < 1e-9);
    }
    tuff_buf_free(&docs);
    tuff_buf_free(&asked);
    tuff_buf_free(&trec);
    tuff_buf_free(&beir);
}

static void prompts_and_names_are_followed(void **state)
{
    (void)state;
    tuff_retrieval_params params = TUFF_RETRIEVAL_PARAMS_INIT;
    tuff_retrieval_result r = TUFF_RETRIEVAL_RESULT_INIT;
    const char *d = file("docs.csv", "no,body\n1,a ship in a bell\n2,a bell in a ship\n3,the sea\n"),
               *q = file("queries.tsv", "no\tbody\n7\tship in a bell\n"), *rel = file("rel.txt", "7 0 1 1\n");
    params.id = "no";
    params.text = "body";
    params.query_prompt = "a ";
    KIT_OK(tuff_measure_retrieval(embedder, d, q, rel, &params, &r));
    assert_true(r.mrr_at_10 == 1); /* with its prompt the query is the document */
    params.query_prompt = NULL;
    d = file("docs2.csv", "no,body\n1,a bell\n2,a ship in a bell\n3,the sea\n");
    params.document_prompt = "ship in ";
    KIT_OK(tuff_measure_retrieval(embedder, d, q, rel, &params, &r));
    assert_true(r.mrr_at_10 == 1);
}

static void of_equal_documents_the_lower_id_comes_first(void **state)
{
    (void)state;
    tuff_retrieval_result r = TUFF_RETRIEVAL_RESULT_INIT;
    const char *d = file("twins.jsonl",
                         "{\"_id\": \"9\", \"text\": \"a bell\"}\n{\"_id\": \"10\", \"text\": \"a bell\"}\n"),
               *q = file("one.jsonl", "{\"_id\": \"1\", \"text\": \"a bell\"}\n");
    KIT_OK(tuff_measure_retrieval(embedder, d, q, file("twins.txt", "1 0 10 1\n"), NULL, &r));
    assert_true(r.mrr_at_10 == 1);
    KIT_OK(tuff_measure_retrieval(embedder, d, q, file("twins.txt", "1 0 9 1\n"), NULL, &r));
    assert_true(r.mrr_at_10 == 0.5);
}

static void collections_that_cannot_be_measured(void **state)
{
    (void)state;
    tuff_retrieval_result r = TUFF_RETRIEVAL_RESULT_INIT;
    const char *d = file("d.jsonl", "{\"_id\": \"1\", \"text\": \"a\"}\n"),
               *q = file("q.jsonl", "{\"_id\": \"1\", \"text\": \"a\"}\n"), *rel = file("r.txt", "1 0 1 1\n");
#define REFUSES(d, q, rel, status, part) \
    KIT_FAILS(tuff_measure_retrieval(embedder, d, q, rel, NULL, &r), status, part)
    REFUSES(d, q, file("x.txt", "2 0 1 1\n"), TUFF_INVALID_ARGUMENT,
            "calls no document relevant to any of the queries");
    REFUSES(d, q, file("x.txt", "1 0 1 0\n"), TUFF_INVALID_ARGUMENT,
            "calls no document relevant to any of the queries");
    REFUSES(d, q, file("x.txt", ""), TUFF_INVALID_ARGUMENT,
            "calls no document relevant to any of the queries");
    REFUSES(d, q, file("x.txt", "1 0 2 1\n"), TUFF_INVALID_ARGUMENT, "none of the documents");
    REFUSES(d, q, file("x.txt", "1 0 1 1\n1 1\n"), TUFF_BAD_FORMAT,
            "x.txt, line 2: it has 2 parts, expected \"query");
    REFUSES(d, q, file("x.txt", "1 0 1 1 run\n"), TUFF_BAD_FORMAT, "line 1: it has more than 4 parts");
    REFUSES(d, q, file("x.txt", "1 0 1 1\n1 0 1 yes\n"), TUFF_BAD_FORMAT,
            "line 2: its relevance is \"yes\", expected a number such as 1");
    REFUSES(file("x.jsonl", "{\"_id\": \"1\", \"text\": \"a\"}\n{\"_id\": 1, \"text\": \"b\"}\n"), q, rel,
            TUFF_INVALID_ARGUMENT, "x.jsonl, line 2: the id \"1\" is there twice");
    REFUSES(d, file("x.jsonl", "{\"id\": \"1\", \"text\": \"a\"}\n"), rel, TUFF_BAD_FORMAT,
            "its \"_id\" is missing");
    REFUSES(file("x.csv", "_id,body\n1,a\n"), q, rel, TUFF_INVALID_ARGUMENT, "has no column \"text\"");
    REFUSES(kit_path("none.jsonl"), q, rel, TUFF_NOT_FOUND, "none.jsonl");
#undef REFUSES
}

/* ---- files ---- */

static tuff_status read_pairs(void *path)
{
    const char *const columns[] = {"sentence1", "sentence2"};
    tuff_pairs pairs;
    tuff_status status = tuff_pairs_read(path, columns, 2, "score", &pairs);
    if (status == TUFF_OK) tuff_pairs_free(&pairs);
    return status;
}

static tuff_status read_qrels(void *path)
{
    tuff_qrels qrels;
    tuff_status status = tuff_qrels_read(path, &qrels);
    if (status == TUFF_OK) tuff_qrels_free(&qrels);
    return status;
}

static void memory_may_fail(void **state)
{
    (void)state;
    char path[512];
    tuff_buf text = {0};
    tuff_buf_text(&text, "sentence1,sentence2,score\n");
    for (int i = 0; i < 300; i++)
        tuff_buf_printf(&text, "a,b,%d\n", i);
    snprintf(path, sizeof path, "%s", file("many.csv", text.data));
    assert_true(kit_for_each_allocation_failure(read_pairs, path) > 300);
    tuff_buf_clear(&text);
    for (int i = 0; i < 40; i++)
        tuff_buf_printf(&text, "q%d 0 d%d 1\n", i, 3 * i);
    snprintf(path, sizeof path, "%s", file("many.txt", text.data));
    assert_true(kit_for_each_allocation_failure(read_qrels, path) > 40);
    tuff_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_give_correlations),
        cmocka_unit_test(pairs_that_cannot_be_measured),
        cmocka_unit_test(search_gives_its_figures),
        cmocka_unit_test(prompts_and_names_are_followed),
        cmocka_unit_test(of_equal_documents_the_lower_id_comes_first),
        cmocka_unit_test(collections_that_cannot_be_measured),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
