#include "train/porter.h"

#include <string.h>

/* A word on its way; conditions are about its first `n` letters. */
typedef struct stemming {
    char *word;
    size_t size;
} stemming;

static bool is_vowel(char c)
{
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u';
}

/* 'y' is one where the letter before it is none. */
static bool is_consonant(const stemming *s, size_t at)
{
    bool behind = false; /* whether the letter before is a consonant */
    size_t begin = at;
    while (begin > 0 && s->word[begin] == 'y')
        begin--;
    for (size_t i = begin; i <= at; i++)
        behind = !is_vowel(s->word[i]) && !(s->word[i] == 'y' && behind);
    return behind;
}

/* How often consonants follow vowels. */
static int measure(const stemming *s, size_t n)
{
    int count = 0;
    bool consonant = false, before = true;
    for (size_t i = 0; i < n; i++) {
        const char c = s->word[i];
        consonant = !is_vowel(c) && !(c == 'y' && i > 0 && consonant);
        count += consonant && !before;
        before = consonant;
    }
    return count;
}

static bool has_vowel(const stemming *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_vowel(s->word[i]) || (s->word[i] == 'y' && i > 0)) return true; /* the first is the only one */
    return false;
}

static bool ends_double_consonant(const stemming *s)
{
    return s->size >= 2 && s->word[s->size - 1] == s->word[s->size - 2] && is_consonant(s, s->size - 1);
}

/* Consonant, vowel, consonant, of which the last is not w, x or y; or a vowel and a consonant alone. */
static bool ends_short(const stemming *s, size_t n)
{
    if (n == 2) return !is_consonant(s, 0) && is_consonant(s, 1);
    if (n < 3 || strchr("wxy", s->word[n - 1])) return false;
    return is_consonant(s, n - 3) && !is_consonant(s, n - 2) && is_consonant(s, n - 1);
}

static bool ends(const stemming *s, const char *suffix)
{
    const size_t n = strlen(suffix);
    return s->size >= n && memcmp(s->word + s->size - n, suffix, n) == 0;
}

static void put(stemming *s, size_t stem, const char *ending)
{
    memcpy(s->word + stem, ending, strlen(ending));
    s->size = stem + strlen(ending);
}

/* An ending, what comes in its place, and how much the rest has to measure at least; -1: anything. */
typedef struct rule {
    const char *suffix, *ending;
    int least;
} rule;

/* The first rule whose ending a word has is the only one that may change it. */
static void apply(stemming *s, const rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!ends(s, rules[i].suffix)) continue;
        const size_t stem = s->size - strlen(rules[i].suffix);
        if (rules[i].least < 0 || measure(s, stem) >= rules[i].least) put(s, stem, rules[i].ending);
        return;
    }
}
#define APPLY(s, rules) apply(s, rules, sizeof(rules) / sizeof *(rules))

/* Plurals. */
static void step_1a(stemming *s)
{
    static const rule rules[] = {{"sses", "ss", -1}, {"ies", "i", -1}, {"ss", "ss", -1}, {"s", "", -1}};
    if (s->size == 4 && ends(s, "ies"))
        put(s, 1, "ie");
    else
        APPLY(s, rules);
}

/* What is left behind -ed and -ing. */
static void mend(stemming *s)
{
    const char last = s->word[s->size - 1];
    if (ends(s, "at") || ends(s, "bl") || ends(s, "iz"))
        put(s, s->size, "e");
    else if (ends_double_consonant(s)) {
        if (!strchr("lsz", last)) s->size--;
    } else if (measure(s, s->size) == 1 && ends_short(s, s->size))
        put(s, s->size, "e");
}

/* -eed, -ed, -ing. */
static void step_1b(stemming *s)
{
    static const char *const endings[] = {"ed", "ing"};
    if (ends(s, "ied")) {
        put(s, s->size - 3, s->size == 4 ? "ie" : "i");
        return;
    }
    if (ends(s, "eed")) {
        if (measure(s, s->size - 3) > 0) s->size--;
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (!ends(s, endings[i])) continue;
        const size_t stem = s->size - strlen(endings[i]);
        if (!has_vowel(s, stem)) continue;
        s->size = stem;
        mend(s);
        return;
    }
}

static void step_1c(stemming *s)
{
    if (s->size > 2 && ends(s, "y") && is_consonant(s, s->size - 2)) s->word[s->size - 1] = 'i';
}

static void step_2(stemming *s)
{
    static const rule rules[] = {{"ational", "ate", 1}, {"tional", "tion", 1}, {"enci", "ence", 1},
                                 {"anci", "ance", 1},   {"izer", "ize", 1},    {"bli", "ble", 1},
                                 {"alli", "al", 1},     {"entli", "ent", 1},   {"eli", "e", 1},
                                 {"ousli", "ous", 1},   {"ization", "ize", 1}, {"ation", "ate", 1},
                                 {"ator", "ate", 1},    {"alism", "al", 1},    {"iveness", "ive", 1},
                                 {"fulness", "ful", 1}, {"ousness", "ous", 1}, {"aliti", "al", 1},
                                 {"iviti", "ive", 1},   {"biliti", "ble", 1},  {"fulli", "ful", 1}};
    while (ends(s, "alli") && measure(s, s->size - 4) > 0)
        s->size -= 2;
    /* the 'l' of -logi counts with what is before it */
    if (ends(s, "logi")) {
        if (measure(s, s->size - 3) > 0) s->size--;
    } else {
        APPLY(s, rules);
    }
}

static void step_3(stemming *s)
{
    static const rule rules[] = {{"icate", "ic", 1}, {"ative", "", 1}, {"alize", "al", 1}, {"iciti", "ic", 1},
                                 {"ical", "ic", 1},  {"ful", "", 1},   {"ness", "", 1}};
    APPLY(s, rules);
}

static void step_4(stemming *s)
{
    static const rule first[] = {
        {"al", "", 2},   {"ance", "", 2}, {"ence", "", 2},  {"er", "", 2},   {"ic", "", 2},  {"able", "", 2},
        {"ible", "", 2}, {"ant", "", 2},  {"ement", "", 2}, {"ment", "", 2}, {"ent", "", 2}, {"ou", "", 2},
        {"ism", "", 2},  {"ate", "", 2},  {"iti", "", 2},   {"ous", "", 2},  {"ive", "", 2}, {"ize", "", 2}};
    if (!ends(s, "ion")) {
        APPLY(s, first);
        return;
    }
    const size_t stem = s->size - 3;
    if (measure(s, stem) > 1 && strchr("st", s->word[stem - 1])) s->size = stem;
}

/* -e, and of -ll one. */
static void step_5(stemming *s)
{
    if (ends(s, "e")) {
        const size_t stem = s->size - 1;
        const int m = measure(s, stem);
        if (m > 1 || (m == 1 && !ends_short(s, stem))) s->size = stem;
    }
    if (ends(s, "ll") && measure(s, s->size - 1) > 1) s->size--;
}

/* Words that rules make nothing good of. */
static bool is_irregular(stemming *s)
{
    static const char *const forms[][2] = {
        {"sky", "sky"},        {"skies", "sky"},       {"dying", "die"},        {"lying", "lie"},
        {"tying", "tie"},      {"news", "news"},       {"innings", "inning"},   {"inning", "inning"},
        {"outings", "outing"}, {"outing", "outing"},   {"cannings", "canning"}, {"canning", "canning"},
        {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},    {"succeed", "succeed"}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!tuff_view_is((tuff_view){s->word, s->size}, forms[i][0])) continue;
        put(s, 0, forms[i][1]);
        return true;
    }
    return false;
}

void tuff_porter_stem(char *word, size_t *size)
{
    stemming s = {word, *size};
    if (*size > 2 && !is_irregular(&s)) {
        step_1a(&s);
        step_1b(&s);
        step_1c(&s);
        step_2(&s);
        step_3(&s);
        step_4(&s);
        step_5(&s);
    }
    *size = s.size;
}
