#include <tuff/host.h>

#include "base/memory.h"
#include "kit/kit.h"

static bool all_zero(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        if (bytes[i]) return false;
    return true;
}

static void memory_is_zeroed(void **state)
{
    (void)state;
    for (int with_host_allocator = 0; with_host_allocator < 2; with_host_allocator++) {
        kit_fail_allocation(with_host_allocator ? UINT32_MAX : 0);
        void *dirty = tuff_alloc(1000);
        memset(dirty, 0xff, 1000);
        tuff_free(dirty);
        void *zeroed = tuff_alloc(1000);
        assert_true(all_zero(zeroed, 1000));
        tuff_free(zeroed);
        void *nothing = tuff_alloc(0);
        assert_non_null(nothing);
        tuff_free(nothing);
        kit_fail_allocation(0);
    }
    tuff_free(NULL);
}

static void sizes_that_overflow_give_null(void **state)
{
    (void)state;
    size_t out;
    assert_null(tuff_alloc_array(SIZE_MAX / 2, 3));
    assert_null(tuff_realloc_array(NULL, SIZE_MAX, 2));
    assert_null(tuff_alloc_aligned(SIZE_MAX - 16, 64));
    assert_false(tuff_mul_size(SIZE_MAX, 2, &out));
    assert_false(tuff_add_size(SIZE_MAX, 1, &out));
    assert_true(tuff_add_size(SIZE_MAX - 1, 1, &out));
    tuff_arena arena = {0};
    assert_null(tuff_arena_alloc(&arena, SIZE_MAX));
    assert_null(tuff_arena_alloc(&arena, SIZE_MAX - 15));
    assert_null(tuff_arena_alloc(&arena, SIZE_MAX - 40));
    assert_null(tuff_arena_array(&arena, SIZE_MAX / 4, 8));
    tuff_arena_free(&arena);
}

static void counters_follow(void **state)
{
    (void)state;
    uint64_t live = kit_live(), allocations = kit_allocations();
    void *a = tuff_alloc(10), *b = tuff_alloc_aligned(10, 4096), *c = tuff_realloc_array(NULL, 4, 4);
    assert_int_equal(kit_live() - live, 3);
    c = tuff_realloc_array(c, 4000, 4);
    assert_int_equal(kit_live() - live, 3);
    assert_int_equal(kit_allocations() - allocations, 4);
    tuff_free(a);
    tuff_free_aligned(b);
    tuff_free_aligned(NULL);
    tuff_free(c);
    assert_int_equal(kit_live(), live);
}

static void alignment_holds(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        for (size_t size = 0; size < 40; size += 13) {
            uint8_t *p = tuff_alloc_aligned(size, alignment);
            assert_int_equal((uintptr_t)p % alignment, 0);
            memset(p, 1, size);
            tuff_free_aligned(p);
        }
    }
}

static void failed_realloc_keeps_the_old(void **state)
{
    (void)state;
    char *text = tuff_strdup("kept");
    kit_fail_allocation(1);
    assert_null(tuff_realloc_array(text, 1000, 1));
    kit_fail_allocation(0);
    assert_string_equal(text, "kept");
    tuff_free(text);
}

static void grow_keeps_items(void **state)
{
    (void)state;
    uint32_t *items = NULL;
    size_t count = 0, capacity = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(tuff_grow((void **)&items, count, &capacity, sizeof *items));
        items[count++] = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    assert_true(capacity >= 1000 && capacity < 4000);
    count = capacity;
    kit_fail_allocation(1);
    size_t same = capacity;
    assert_false(tuff_grow((void **)&items, count, &capacity, sizeof *items));
    kit_fail_allocation(0);
    assert_int_equal(capacity, same);
    tuff_free(items);
}

static void arena_hands_out_separate_zeroed_memory(void **state)
{
    (void)state;
    uint64_t live = kit_live();
    tuff_arena arena = {0};
    enum { COUNT = 2000 };
    uint8_t *parts[COUNT];
    size_t sizes[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = i % 500 == 499 ? 200000 : i % 97;
        parts[i] = tuff_arena_alloc(&arena, sizes[i]);
        assert_int_equal((uintptr_t)parts[i] % 16, 0);
        assert_true(all_zero(parts[i], sizes[i]));
        memset(parts[i], (int)(i % 250) + 1, sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(parts[i][j], i % 250 + 1);
    /* 4 large blocks of their own, the small parts in few shared ones */
    assert_true(kit_live() - live < 9);
    assert_string_equal(tuff_arena_printf(&arena, "%s-%d", "x", 7), "x-7");
    assert_string_equal(tuff_arena_strdup(&arena, "copy"), "copy");
    tuff_arena_free(&arena);
    assert_int_equal(kit_live(), live);
    assert_null(arena.block);
}

static tuff_status use_arena(void *user)
{
    (void)user;
    tuff_arena arena = {0};
    bool ok = tuff_arena_alloc(&arena, 10) && tuff_arena_alloc(&arena, 100000) &&
              tuff_arena_printf(&arena, "%070000d", 1) && tuff_arena_strdup(&arena, "x");
    tuff_arena_free(&arena);
    return ok ? TUFF_OK : TUFF_OUT_OF_MEMORY;
}

static void arena_survives_every_failure(void **state)
{
    (void)state;
    assert_int_equal(kit_for_each_allocation_failure(use_arena, NULL), 3);
}

static int host_calls;
static void *counted_malloc(size_t size, void *user)
{
    ++*(int *)user;
    return malloc(size);
}
static void *counted_realloc(void *pointer, size_t size, void *user)
{
    ++*(int *)user;
    return realloc(pointer, size);
}
static void counted_free(void *pointer, void *user)
{
    ++*(int *)user;
    free(pointer);
}

static void the_host_may_bring_its_own(void **state)
{
    (void)state;
    KIT_OK(tuff_set_allocator(&(tuff_allocator){.struct_size = sizeof(tuff_allocator),
                                                .malloc = counted_malloc,
                                                .realloc = counted_realloc,
                                                .free = counted_free,
                                                .user = &host_calls}));
    char *text = tuff_strdup("x");
    text = tuff_realloc_array(text, 100, 1);
    tuff_free(text);
    tuff_free_aligned(tuff_alloc_aligned(1, 64));
    KIT_OK(tuff_set_allocator(NULL));
    assert_int_equal(host_calls, 5);
    tuff_free(tuff_alloc(1));
    assert_int_equal(host_calls, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed),
        cmocka_unit_test(sizes_that_overflow_give_null),
        cmocka_unit_test(counters_follow),
        cmocka_unit_test(alignment_holds),
        cmocka_unit_test(failed_realloc_keeps_the_old),
        cmocka_unit_test(grow_keeps_items),
        cmocka_unit_test(arena_hands_out_separate_zeroed_memory),
        cmocka_unit_test(arena_survives_every_failure),
        cmocka_unit_test(the_host_may_bring_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
