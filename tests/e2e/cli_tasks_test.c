/* tuff train --task and tuff eval --task. */
#include <math.h>

#include "base/memory.h"
#include "kit/command.h"

/* A golden with the tokenizer of assets/golden/tasks. */
static const char *model_of(const char *name)
{
    const char *path = kit_copy_model(kit_golden(name), name), *tasks = kit_golden("tasks");
    kit_copy_file(kit_join(tasks, "tokenizer.json"), kit_join(path, "tokenizer.json"));
    kit_copy_file(kit_join(tasks, "tokenizer_config.json"), kit_join(path, "tokenizer_config.json"));
    return path;
}

static const char *records(const char *name)
{
    return kit_join(kit_golden("tasks"), name);
}

/* A new head is told of, the evaluation while training is that of the saved model. */
static void a_classifier_is_trained_and_measured(void **state)
{
    (void)state;
    const char *model = model_of("bert"), *out = kit_path("classifier"),
               *file = records("classification.tsv");
    kit_result r = KIT_TUFF("train", "--task", "classification", "--model", model, "--train-file", file,
                            "--eval-file", file, "--text-field", "one", "--text-pair-field", "two",
                            "--label-field", "class", "--output-dir", out, "--max-steps", "3",
                            "--per-device-train-batch-size", "4", "--learning-rate", "1e-2", "--json");
    assert_non_null(strstr(r.err.data, "has no head for sequence classification of 3 outputs"));
    assert_non_null(strstr(r.err.data, "accuracy"));
    assert_non_null(strstr(r.err.data, "11 examples"));
    cJSON *trained = kit_parse(r.out.data, r.out.size);
    assert_null(cJSON_GetObjectItem(trained, "eval_perplexity"));
    kit_result_free(&r);
    r = KIT_TUFF("eval", "--task", "classification", "--model", out, "--file", file, "--text-field", "one",
                 "--text-pair-field", "two", "--label-field", "class", "--json");
    cJSON *measured = kit_parse(r.out.data, r.out.size);
    assert_true(fabs(kit_number(measured, "loss") - kit_number(trained, "eval_loss")) < 1e-5);
    assert_true(kit_number(measured, "accuracy") == kit_number(trained, "eval_accuracy"));
    assert_true(kit_number(measured, "f1_macro") == kit_number(trained, "eval_f1_macro"));
    assert_true(kit_number(measured, "labels") == 11);
    cJSON_Delete(trained);
    cJSON_Delete(measured);
    kit_result_free(&r);
}

/* A table without a row of names, in every verb that reads one. */
static void columns_go_by_numbers(void **state)
{
    (void)state;
    static const char text[] = "w1 w2 w3\t1\nw4 w5\t0\nw2 w2 w6\t1\nw5 w7\t0\n";
    const char *model = model_of("bert"), *out = kit_path("numbered"), *file = kit_path("numbered.tsv");
    kit_write_file(file, text, strlen(text));
    KIT_REFUSES(
        1, "where that is a record already, name columns by their numbers: --text-field 1 --label-field 2",
        "train", "--task", "classification", "--model", model, "--train-file", file, "--output-dir", out,
        "--quiet");
#define NUMBERED "--text-field", "1", "--label-field", "2"
    kit_result r = KIT_TUFF("train", "--task", "classification", "--model", model, "--train-file", file,
                            "--eval-file", file, NUMBERED, "--output-dir", out, "--max-steps", "2");
    assert_non_null(strstr(r.err.data, "4 examples"));
    kit_result_free(&r);
    r = KIT_TUFF("train", "--task", "classification", "--model", model, "--train-file", file, NUMBERED,
                 "--dry-run", "--quiet", "--json");
    assert_non_null(strstr(r.out.data, "\"examples\": 4"));
    kit_result_free(&r);
    r = KIT_TUFF("eval", "--task", "classification", "--model", out, "--file", file, NUMBERED, "--json");
    cJSON *measured = kit_parse(r.out.data, r.out.size);
    assert_true(kit_number(measured, "labels") == 4);
    cJSON_Delete(measured);
    kit_result_free(&r);
    r = KIT_TUFF("classify", "--model", out, "--file", file, "--field", "1");
    static const char texts[] = "w1 w2 w3\nw4 w5\nw2 w2 w6\nw5 w7\n";
    kit_write_file(kit_path("texts.txt"), texts, strlen(texts));
    kit_result lines = KIT_TUFF("classify", "--model", out, "--file", kit_path("texts.txt"));
    assert_string_equal(r.out.data, lines.out.data);
    kit_result_free(&lines);
    kit_result_free(&r);
}

/* Beside LoRA, a head is used from the adapter's directory. */
static void a_head_comes_with_its_adapter(void **state)
{
    (void)state;
    const char *model = model_of("bert"), *out = kit_path("adapter"), *file = records("classification.tsv");
    kit_result r =
        KIT_TUFF("train", "--task", "classification", "--model", model, "--train-file", file, "--eval-file",
                 file, "--text-field", "one", "--label-field", "class", "--output-dir", out, "--lora-rank",
                 "2", "--max-steps", "6", "--learning-rate", "3e-2", "--json");
    cJSON *trained = kit_parse(r.out.data, r.out.size);
    kit_result_free(&r);
    r = KIT_TUFF("eval", "--task", "classification", "--model", model, "--adapter", out, "--file", file,
                 "--text-field", "one", "--label-field", "class", "--json");
    cJSON *measured = kit_parse(r.out.data, r.out.size);
    assert_true(fabs(kit_number(measured, "loss") - kit_number(trained, "eval_loss")) < 1e-5);
    assert_null(strstr(r.err.data, "drawn")); /* nothing of it is random */
    cJSON_Delete(trained);
    cJSON_Delete(measured);
    kit_result_free(&r);
    r = KIT_TUFF("classify", "--model", model, "--adapter", out, "--text", "w5 w6");
    assert_null(strstr(r.out.data, "LABEL_"));
    kit_result_free(&r);
}

static void others_are_measured(void **state)
{
    (void)state;
    kit_result r =
        KIT_TUFF("eval", "--task", "mlm", "--model", model_of("bert-mlm"), "--file", records("mlm.txt"));
    assert_true(strncmp(r.out.data, "loss        ", 12) == 0 && strstr(r.out.data, "\nperplexity  "));
    kit_result_free(&r);
    r = KIT_TUFF("eval", "--task", "token-classification", "--model", model_of("bert-tokens"), "--file",
                 records("tokens.jsonl"));
    assert_non_null(strstr(r.out.data, "\naccuracy "));
    assert_non_null(strstr(r.out.data, "\nf1_weighted "));
    kit_result_free(&r);
    r = KIT_TUFF("eval", "--task", "qa", "--model", model_of("bert-spans"), "--file", records("qa.jsonl"),
                 "--max-length", "14", "--doc-stride", "3");
    assert_non_null(strstr(r.out.data, "\nexact_match "));
    kit_result_free(&r);
}

/* Batches without a label: said so, not that the rate is too high. */
static void nothing_to_learn_is_said(void **state)
{
    (void)state;
    static const char lines[] = "{\"tokens\": [\"w5\"], \"labels\": [-100]}\n"
                                "{\"tokens\": [\"w6\"], \"labels\": [-100]}\n"
                                "{\"tokens\": [\"w6\", \"w7\"], \"labels\": [\"O\", \"B-PER\"]}\n";
    const char *file = kit_path("few.jsonl");
    kit_write_file(file, lines, sizeof lines - 1);
    kit_result r;
    kit_run_tuff(&r, (const char *const[]){"train", "--task", "token-classification", "--model",
                                           model_of("bert-tokens"), "--train-file", file, "--output-dir",
                                           kit_path("few"), "--max-steps", "3", "--logging-steps", "1",
                                           "--per-device-train-batch-size", "1", NULL});
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "was skipped, its batch has nothing to learn from"));
    assert_non_null(strstr(r.err.data, "2 of its 3 steps were skipped, because their batches"));
    assert_null(strstr(r.err.data, "nan"));
    assert_null(strstr(r.err.data, "learning-rate"));
    kit_result_free(&r);
}

/* What an evaluation leaves out is said with it. */
static void what_is_left_out_is_said(void **state)
{
    (void)state;
    static const char lines[] = "w5\n\xff\n\xfe\n\xfd\n\xfc\nw6 w7 w8 w9 w10 w11\n";
    const char *file = kit_path("lines.txt"), *model = model_of("bert-mlm");
    kit_write_file(file, lines, sizeof lines - 1);
    kit_result r =
        KIT_TUFF("eval", "--task", "mlm", "--model", model, "--file", file, "--mlm-probability", "0.9");
    assert_non_null(strstr(r.err.data, "line 2: its text is not UTF-8"));
    assert_null(strstr(r.err.data, "line 5"));
    assert_non_null(strstr(r.err.data, "left out 4 malformed records"));
    kit_result_free(&r);
    KIT_REFUSES(1, "line 2: its text is not UTF-8", "eval", "--task", "mlm", "--model", model, "--file", file,
                "--strict");
}

static const char pairs[] = "{\"q\": \"The river and\", \"a\": \"the bridge.\"}\n"
                            "{\"q\": \"In the morning\", \"a\": \"it isn't the longest road.\"}\n"
                            "{\"q\": \"She said that the stone\", \"a\": \"was warm\"}\n";

/* What it was trained on it answers: the loss falls, the same in training and evaluation, with LoRA as
 * without. */
static void an_encoder_decoder_learns_answers(void **state)
{
    (void)state;
    const char *file = kit_path("pairs.jsonl"), *model = kit_golden("t5-gated");
    kit_write_file(file, pairs, sizeof pairs - 1);
    kit_result r = KIT_TUFF("eval", "--task", "seq2seq", "--model", model, "--file", file, "--text-field",
                            "q", "--label-field", "a", "--json");
    cJSON *before = kit_parse(r.out.data, r.out.size);
    kit_result_free(&r);
    for (int lora = 0; lora < 2; lora++) {
        const char *out = kit_path(lora ? "answers-lora" : "answers");
        r = KIT_TUFF("train", "--task", "seq2seq", "--model", model, "--train-file", file, "--eval-file",
                     file, "--text-field", "q", "--label-field", "a", "--output-dir", out, "--max-steps",
                     "150", "--per-device-train-batch-size", "3", "--learning-rate", "4e-3",
                     lora ? "--lora-target" : "--seed", lora ? "all-linear" : "4",
                     lora ? "--lora-rank" : "--max-length", lora ? "8" : "64", "--json");
        cJSON *trained = kit_parse(r.out.data, r.out.size);
        kit_result_free(&r);
        r = KIT_TUFF("eval", "--task", "seq2seq", "--model", lora ? model : out,
                     lora ? "--adapter" : "--device", lora ? out : "cpu", "--file", file, "--text-field", "q",
                     "--label-field", "a", "--json");
        cJSON *after = kit_parse(r.out.data, r.out.size);
        kit_result_free(&r);
        assert_true(fabs(kit_number(after, "loss") - kit_number(trained, "eval_loss")) < 1e-4);
        assert_true(kit_number(after, "loss") < 0.3 * kit_number(before, "loss"));
        assert_true(kit_number(after, "labels") == kit_number(before, "labels"));
        assert_true(kit_number(after, "accuracy") > 0.9 && kit_number(before, "accuracy") < 0.5);
        assert_true(kit_number(after, "exact_match") == 1 && kit_number(before, "exact_match") == 0);
        assert_true(kit_number(after, "rougeLsum") == 1 && kit_number(after, "chrf") == 100);
        assert_true(kit_number(after, "bleu") > 99.99);
        cJSON_Delete(trained);
        cJSON_Delete(after);
    }
    r = KIT_TUFF("generate", "--model", kit_path("answers"), "--prompt", "The river and", "--max-new-tokens",
                 "40");
    assert_string_equal(r.out.data, "the bridge.\n"); /* without the prompt */
    kit_result_free(&r);
    r = KIT_TUFF("generate", "--model", kit_path("answers"), "--prompt", "The river and", "--max-new-tokens",
                 "40", "--num-beams", "3", "--early-stopping", "true", "--json");
    cJSON *found = kit_parse(r.out.data, r.out.size);
    assert_string_equal(cJSON_GetObjectItem(found, "text")->valuestring, "the bridge.");
    assert_string_equal(cJSON_GetObjectItem(found, "finish")->valuestring, "eos");
    cJSON_Delete(found);
    cJSON_Delete(before);
    kit_result_free(&r);
    r = KIT_TUFF("generate", "--model", kit_path("answers"), "--file", file, "--field", "q",
                 "--max-new-tokens", "40", "--batch-size", "2");
    assert_non_null(strstr(r.out.data, "was warm"));
    assert_non_null(strstr(r.out.data, "the bridge."));
    char *greedy = tuff_strdup(r.out.data);
    kit_result_free(&r);
    r = KIT_TUFF("generate", "--model", kit_path("answers"), "--file", file, "--field", "q",
                 "--max-new-tokens", "40", "--num-beams", "3");
    assert_string_equal(r.out.data, greedy); /* what it has learned is the most probable text, too */
    tuff_free(greedy);
    kit_result_free(&r);
}

static const char preferred[] =
    "{\"prompt\": \"The river\", \"chosen\": \" is wide.\", \"rejected\": \" is not\"}\n"
    "{\"prompt\": \"A stone\", \"chosen\": \" lies\", \"rejected\": \" was a bridge.\"}\n"
    "{\"prompt\": \"How far?\", \"chosen\": \" Not far.\"}\n"
    "{\"prompt\": \"Who\", \"chosen\": \" came?\", \"rejected\": \" is it?\"}\n";

/* What is logged and measured while training is what the adapter gives. */
static void answers_are_preferred(void **state)
{
    (void)state;
    const char *file = kit_path("preferred.jsonl"), *model = kit_golden("llama"), *out = kit_path("prefers");
    kit_write_file(file, preferred, sizeof preferred - 1);
    kit_result r = KIT_TUFF("train", "--task", "preference", "--loss", "dpo", "--beta", "0.5", "--model",
                            model, "--train-file", file, "--eval-file", file, "--output-dir", out,
                            "--lora-rank", "4", "--max-steps", "20", "--per-device-train-batch-size", "3",
                            "--learning-rate", "2e-2", "--json");
    assert_non_null(strstr(r.err.data, "its \"rejected\" is missing"));
    assert_non_null(strstr(r.err.data, "rewards/margins"));
    cJSON *trained = kit_parse(r.out.data, r.out.size);
    assert_true(kit_number(trained, "eval_rewards/accuracies") == 1);
    assert_true(kit_number(trained, "eval_loss") < 0.6);
    kit_result_free(&r);
    tuff_buf log = {0};
    kit_read_file(kit_join(out, "train_log.jsonl"), &log);
    assert_non_null(strstr(log.data, "\"rewards/accuracies\": 1,"));
    assert_non_null(strstr(log.data, "\"eval_logps/chosen\": -"));
    tuff_buf_free(&log);
    r = KIT_TUFF("eval", "--task", "preference", "--beta", "0.5", "--model", model, "--adapter", out,
                 "--file", file, "--batch-size", "3", "--json");
    cJSON *measured = kit_parse(r.out.data, r.out.size);
    assert_true(fabs(kit_number(measured, "loss") - kit_number(trained, "eval_loss")) < 1e-5);
    assert_true(fabs(kit_number(measured, "rewards/margins") - kit_number(trained, "eval_rewards/margins")) <
                1e-4);
    cJSON_Delete(trained);
    cJSON_Delete(measured);
    kit_result_free(&r);
    const char *one = kit_path("one.jsonl");
    kit_write_file(one, preferred, (size_t)(strchr(preferred, '\n') + 1 - preferred));
    KIT_REFUSES(1, "there is no adapter", "eval", "--task", "preference", "--model", model, "--file", one,
                "--quiet");
    KIT_REFUSES(1, "line 3: its \"rejected\" is missing", "train", "--task", "preference", "--model", model,
                "--train-file", file, "--output-dir", kit_path("none"), "--strict");
    KIT_REFUSES(2, "of --task embedding", "train", "--task", "preference", "--loss", "mnrl", "--model", model,
                "--train-file", file, "--output-dir", kit_path("none"));
    KIT_REFUSES(2, "of --task preference", "train", "--task", "embedding", "--loss", "dpo", "--model", model,
                "--train-file", file, "--output-dir", kit_path("none"));
    KIT_REFUSES(2, "are of --task preference", "train", "--task", "sft", "--beta", "0.3", "--model", model,
                "--train-file", file, "--output-dir", kit_path("none"));
    KIT_REFUSES(2, "are of --task sft", "train", "--task", "preference", "--packing", "--model", model,
                "--train-file", file, "--output-dir", kit_path("none"));
}

/* generation_config.json says how to search where no option does. */
static void defaults_are_the_models(void **state)
{
    (void)state;
    static const char four[] = "{\"num_beams\": 4, \"max_length\": 9, \"length_penalty\": 2.0}",
                      groups[] = "{\"num_beams\": 4, \"num_beam_groups\": 2, \"max_length\": 9}",
                      bad[] = "{\"num_beams\": 4, \"early_stopping\": 3}";
    const char *model = kit_copy_model(kit_golden("t5"), "defaults"),
               *path = kit_join(model, "generation_config.json");
    char *prompts[] = {"a stone", "the river"};
    kit_write_file(path, four, sizeof four - 1);
    for (int i = 0; i < 2; i++) {
        kit_result r = KIT_TUFF("generate", "--model", model, "--prompt", prompts[i], "--json");
        cJSON *found = kit_parse(r.out.data, r.out.size);
        assert_true(kit_number(found, "new_tokens") <= 8);
        kit_result_free(&r);
        r = KIT_TUFF("generate", "--model", kit_golden("t5"), "--prompt", prompts[i], "--json", "--num-beams",
                     "4", "--max-new-tokens", "8", "--length-penalty", "2");
        cJSON *same = kit_parse(r.out.data, r.out.size);
        assert_string_equal(cJSON_GetObjectItem(found, "text")->valuestring,
                            cJSON_GetObjectItem(same, "text")->valuestring);
        cJSON_Delete(found);
        cJSON_Delete(same);
        kit_result_free(&r);
    }
    kit_write_file(path, groups, sizeof groups - 1);
    KIT_REFUSES(1, "asks for a search with beams and num_beam_groups", "generate", "--model", model,
                "--prompt", "a");
    kit_result r = KIT_TUFF("generate", "--model", model, "--prompt", "a", "--num-beams", "2");
    kit_result_free(&r);
    r = KIT_TUFF("generate", "--model", model, "--prompt", "a", "--temperature", "1");
    kit_result_free(&r);
    kit_write_file(path, bad, sizeof bad - 1);
    KIT_REFUSES(1, "an early_stopping that is not true, false or \"never\"", "generate", "--model", model,
                "--prompt", "a", "--num-beams", "2");
}

/* A prefix is part of each source. */
static void sources_may_have_a_prefix(void **state)
{
    (void)state;
    static const char *const files[] = {"{\"source\": \"The river and\", \"target\": \"the bridge.\"}\n",
                                        "{\"source\": \"and\", \"target\": \"the bridge.\"}\n"};
    double losses[3];
    for (int i = 0; i < 3; i++) {
        const char *file = kit_path("prefix.jsonl");
        kit_write_file(file, files[i > 0], strlen(files[i > 0]));
        kit_result r = KIT_TUFF("eval", "--task", "seq2seq", "--model", kit_golden("t5"), "--file", file,
                                "--json", "--source-prefix", i == 1 ? "The river " : "");
        cJSON *found = kit_parse(r.out.data, r.out.size);
        losses[i] = kit_number(found, "loss");
        cJSON_Delete(found);
        kit_result_free(&r);
    }
    assert_true(losses[0] == losses[1] && losses[0] != losses[2]);
    char *texts[3];
    for (int i = 0; i < 3; i++) {
        kit_write_file(kit_path("prefix.txt"), i ? "and\n" : "The river and\n", i ? 4 : 14);
        kit_result r = KIT_TUFF("generate", "--model", kit_golden("t5"), i == 2 ? "--prompt" : "--file",
                                i == 2 ? "and" : kit_path("prefix.txt"), "--max-new-tokens", "12", "--json",
                                "--source-prefix", i ? "The river " : "");
        cJSON *found = kit_parse(r.out.data, r.out.size);
        texts[i] = tuff_strdup(cJSON_GetObjectItem(found, "text")->valuestring);
        cJSON_Delete(found);
        kit_result_free(&r);
    }
    assert_string_equal(texts[0], texts[1]);
    assert_string_equal(texts[0], texts[2]);
    for (int i = 0; i < 3; i++)
        tuff_free(texts[i]);
    KIT_REFUSES(2, "--source-prefix is of --task seq2seq", "eval", "--task", "mlm", "--model",
                kit_golden("bert-mlm"), "--file", kit_path("prefix.jsonl"), "--source-prefix", "a");
}

static void what_does_not_go_together(void **state)
{
    (void)state;
    const char *model = model_of("bert-classes"), *file = records("several.jsonl");
    KIT_REFUSES(2, "--dump-batches, --block-size and --block-stride are of --task causal-lm", "train",
                "--task", "mlm", "--model", model, "--train-file", file, "--output-dir", kit_path("x"),
                "--block-size", "8");
    KIT_REFUSES(1, "a classifier of tokens is needed to be measured", "eval", "--task",
                "token-classification", "--model", model, "--file", records("tokens.jsonl"));
    KIT_REFUSES(1, "its \"tokens\" is missing", "train", "--task", "token-classification", "--model", model,
                "--train-file", file, "--output-dir", kit_path("x"));
    KIT_REFUSES(1, "a model for sequence-to-sequence learning is needed here", "eval", "--task", "seq2seq",
                "--model", kit_golden("llama"), "--file", file, "--text-field", "text", "--label-field",
                "text");
    KIT_REFUSES(1, "this is an encoder-decoder bart", "eval", "--model", kit_golden("bart"), "--file", file,
                "--file-format", "text");
    KIT_REFUSES(1, "it is an encoder-decoder", "embed", "--model", kit_golden("bart"), "--text", "a");
    KIT_REFUSES(1, "a search with beams takes no temperature", "generate", "--model", kit_golden("bart"),
                "--prompt", "a", "--num-beams", "2", "--temperature", "1");
    KIT_REFUSES(1, "num_return_sequences is 3, but a search with 2 beams finds no more", "generate",
                "--model", kit_golden("bart"), "--prompt", "a", "--num-beams", "2", "--num-return-sequences",
                "3");
    const char *answers = kit_path("more.jsonl");
    kit_write_file(answers, pairs, sizeof pairs - 1);
    KIT_REFUSES(1, "this is an encoder-decoder", "train", "--model", kit_golden("bart"), "--train-file",
                answers, "--text-field", "q", "--label-field", "a", "--output-dir", kit_path("x"), "--task",
                "seq2seq", "--peft-type", "prompt_tuning");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_classifier_is_trained_and_measured),
        cmocka_unit_test(columns_go_by_numbers),
        cmocka_unit_test(a_head_comes_with_its_adapter),
        cmocka_unit_test(others_are_measured),
        cmocka_unit_test(nothing_to_learn_is_said),
        cmocka_unit_test(what_is_left_out_is_said),
        cmocka_unit_test(an_encoder_decoder_learns_answers),
        cmocka_unit_test(sources_may_have_a_prefix),
        cmocka_unit_test(answers_are_preferred),
        cmocka_unit_test(defaults_are_the_models),
        cmocka_unit_test(what_does_not_go_together),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
