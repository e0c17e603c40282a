/* What a training freezes: patterns of names, layers from the top, phases; what is wrong with them is said.
 */
#include "kit/kit.h"
#include "train/trained_set.h"

static void patterns_match_whole_parts(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"layers.1", "model.layers.1.mlp.weight", true},
        {"layers.1", "model.layers.10.mlp.weight", false},
        {"layers.0-3", "model.layers.3.mlp.weight", true},
        {"layers.0-3", "model.layers.13.mlp.weight", false},
        {"layers.0-3", "model.layers.30.mlp.weight", false},
        {"layers.9-11.*", "model.layers.10.mlp.weight", true},
        {"layers.9-11.mlp", "model.layers.10.mlp.weight", true},
        {"layers.9-11.attn", "model.layers.10.mlp.weight", false},
        {"*.weight", "model.norm.weight", true},
        {"norm", "model.norm.weight", true},
        {"norm", "model.layers.0.input_layernorm.weight", false},
        {"*norm*", "model.layers.0.input_layernorm.weight", true},
        {"embed*", "model.embed_tokens.weight", true},
        {"bed_tokens", "model.embed_tokens.weight", false},
        {"q_pro?", "model.layers.0.self_attn.q_proj.weight", true},
        {"?_proj", "model.layers.0.mlp.up_proj.weight", false},
        {"model", "model.norm.weight", true},
        {"model.norm.weight", "model.norm.weight", true},
        {"model.norm.weight.x", "model.norm.weight", false},
        {"*", "x", true},
        {"**a*b", "aab", true},
        {"0-1", "h.1.w", true},
        {"1-0", "h.1.w", false},
        {"1-", "h.1.w", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (tuff_name_matches(cases[i].pattern, strlen(cases[i].pattern), cases[i].name) != cases[i].matches)
            fail_msg("%s and %s", cases[i].pattern, cases[i].name);
}

/* Three layers between a table and a head. */
static const tuff_candidate candidates[] = {
    {"model.embed_tokens.weight", 4, true},
    {"model.layers.0.q_proj.weight", 3, true},
    {"model.layers.0.norm.weight", 3, false},
    {"model.layers.1.q_proj.weight", 2, true},
    {"model.layers.1.norm.weight", 2, false},
    {"model.layers.2.q_proj.weight", 1, true},
    {"model.layers.2.norm.weight", 1, false},
    {"model.norm.weight", 0, false},
    {"lm_head.weight", 0, true},
};
enum { COUNT = sizeof candidates / sizeof *candidates };

/* "0 1 1 3": the phase of each, '-' where it is frozen. */
static void expect(const tuff_trained_set_params *params, size_t count, const char *phases)
{
    tuff_trained_set set;
    char text[2 * COUNT + 1] = "";
    KIT_OK(tuff_trained_set_make(candidates, count, params, &set));
    for (size_t i = 0, k = 0; i < count; i++) {
        text[2 * i] = '-';
        if (k < set.count && set.items[k].candidate == i) text[2 * i] = (char)('0' + set.items[k++].phase);
        text[2 * i + 1] = i + 1 < count ? ' ' : 0;
    }
    assert_string_equal(text, phases);
    tuff_trained_set_free(&set);
}

static void what_is_frozen_is_left_out(void **state)
{
    (void)state;
    expect(&(tuff_trained_set_params){.total_steps = 9}, COUNT, "0 0 0 0 0 0 0 0 0");
    expect(&(tuff_trained_set_params){.freeze = "embed*, layers.0-1"}, COUNT, "- - - - - 0 0 0 0");
    expect(&(tuff_trained_set_params){.train_only = "norm,lm_head"}, COUNT, "- - 0 - 0 - 0 0 0");
    expect(&(tuff_trained_set_params){.train_only = "layers", .freeze = "layers.*.norm"}, COUNT,
           "- 0 - 0 - 0 - - -");
    expect(&(tuff_trained_set_params){.top_layers = 1}, COUNT, "- - - - - 0 0 0 0");
    expect(&(tuff_trained_set_params){.top_layers = 9, .freeze = "lm_head"}, COUNT, "0 0 0 0 0 0 0 0 -");
}

static void layers_thaw_one_after_the_other(void **state)
{
    (void)state;
    tuff_trained_set set;
    tuff_trained_set_params p = {.schedule = "one-per-epoch", .epoch_steps = 2.5, .total_steps = 100};
    expect(&p, COUNT, "4 3 3 2 2 1 1 0 0");
    KIT_OK(tuff_trained_set_make(candidates, COUNT, &p, &set));
    static const int phases[] = {0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4};
    for (int step = 0; step < 13; step++)
        assert_int_equal(tuff_trained_set_phase(&set, step), phases[step]);
    tuff_trained_set_free(&set);
    /* without a head the last layer comes first */
    expect(&p, COUNT - 1, "3 2 2 1 1 0 0 0");
    /* what is not reached is frozen */
    p.total_steps = 5;
    expect(&p, COUNT, "- - - - - 1 1 0 0");
    p = (tuff_trained_set_params){.schedule = "2, 7", .total_steps = 100};
    expect(&p, COUNT, "- - - 2 2 1 1 0 0");
    p.freeze = "layers.2,lm_head";
    expect(&p, COUNT, "2 1 1 0 0 - - 0 -");
    /* vectors that are alone below go with what is above them */
    p = (tuff_trained_set_params){
        .schedule = "2", .total_steps = 100, .freeze = "embed*,layers.0.q_proj,layers.1"};
    expect(&p, COUNT, "- - 1 - - 1 1 0 0");
}

static void expect_refused(tuff_trained_set_params p, const char *why)
{
    tuff_trained_set set;
    if (!p.total_steps) p.total_steps = 100;
    KIT_FAILS(tuff_trained_set_make(candidates, COUNT, &p, &set), TUFF_INVALID_ARGUMENT, why);
    tuff_trained_set_free(&set);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    expect_refused(
        (tuff_trained_set_params){.freeze = "norm,layer.2"},
        "freeze has \"layer.2\", which matches no tensor that could be trained; the nearest names are "
        "layers");
    expect_refused((tuff_trained_set_params){.train_only = "qproj"}, "the nearest names are q_proj");
    expect_refused((tuff_trained_set_params){.freeze = " , "}, "freeze is empty");
    expect_refused((tuff_trained_set_params){.freeze = "*"}, "everything is frozen");
    expect_refused((tuff_trained_set_params){.schedule = "one-per-step"},
                   "expected one-per-epoch or numbers");
    expect_refused((tuff_trained_set_params){.schedule = "5,5"}, "unfreeze_schedule has 5 after 5");
    expect_refused((tuff_trained_set_params){.schedule = "0"}, "0 after 0");
    expect_refused((tuff_trained_set_params){.schedule = ","}, "unfreeze_schedule is empty");
    expect_refused((tuff_trained_set_params){.schedule = "1,2,3,4,5"}, "more steps than there are layers");
}

static tuff_status make(void *user)
{
    tuff_trained_set set;
    const tuff_trained_set_params p = {
        .freeze = user ? "nothing" : "norm", .schedule = "4,9", .total_steps = 100};
    tuff_status status = tuff_trained_set_make(candidates, COUNT, &p, &set);
    tuff_trained_set_free(&set);
    return status;
}

static void allocations_may_fail(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(make, NULL) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_whole_parts),
        cmocka_unit_test(what_is_frozen_is_left_out),
        cmocka_unit_test(layers_thaw_one_after_the_other),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests_name("trained_set", tests, NULL, NULL);
}
