/* Calls of checkpoints without one of their arguments: see api_null_test.c. */
#ifndef TUFF_TESTS_NULL_CHECKPOINT_H
#define TUFF_TESTS_NULL_CHECKPOINT_H

#include "null_kit.h"

CALLS_OF(tuff_trainer_save_checkpoint)
{
    const tuff_checkpoint_params unset = {0};
    tuff_checkpoint_params none = TUFF_CHECKPOINT_PARAMS_INIT;
    none.number_count = 1;
    REFUSED(tuff_trainer_save_checkpoint(NULL, "x", NULL));
    REFUSED(tuff_trainer_save_checkpoint(fixture.trainer, NULL, NULL));
    REFUSED(tuff_trainer_save_checkpoint(fixture.trainer, "x", &unset));
    KIT_FAILS(tuff_trainer_save_checkpoint(fixture.trainer, "x", &none), TUFF_INVALID_ARGUMENT, "is NULL");
}
CALLS_OF(tuff_trainer_save_checkpoint_into)
{
    const tuff_checkpoint_params unset = {0};
    tuff_stage *stage;
    KIT_OK(tuff_stage_open(kit_temp_path("checkpoint-into"), &stage));
    REFUSED(tuff_trainer_save_checkpoint_into(NULL, stage, NULL));
    REFUSED(tuff_trainer_save_checkpoint_into(fixture.trainer, NULL, NULL));
    REFUSED(tuff_trainer_save_checkpoint_into(fixture.trainer, stage, &unset));
    tuff_stage_abort(&stage);
}
CALLS_OF(tuff_checkpoint_open)
{
    const tuff_watch unset = {0};
    tuff_checkpoint *out;
    REFUSED(tuff_checkpoint_open("x", NULL, NULL));
    REFUSED_OUT(tuff_checkpoint_open(NULL, NULL, &out), out);
    REFUSED_OUT(tuff_checkpoint_open("x", &unset, &out), out);
}
CALLS_OF(tuff_checkpoint_destroy)
{
    tuff_checkpoint *none = NULL;
    tuff_checkpoint_destroy(NULL);
    tuff_checkpoint_destroy(&none);
}
CALLS_OF(tuff_checkpoint_get_info)
{
    tuff_checkpoint_info info = TUFF_CHECKPOINT_INFO_INIT, unset = {0};
    REFUSED(tuff_checkpoint_get_info(NULL, &info));
    REFUSED(tuff_checkpoint_get_info(fixture.checkpoint, NULL));
    REFUSED(tuff_checkpoint_get_info(fixture.checkpoint, &unset));
}
CALLS_OF(tuff_checkpoint_get_number)
{
    double value;
    assert_false(tuff_checkpoint_get_number(NULL, "x", &value));
    assert_false(tuff_checkpoint_get_number(fixture.checkpoint, NULL, &value));
    assert_false(tuff_checkpoint_get_number(fixture.checkpoint, "x", NULL));
}
CALLS_OF(tuff_checkpoint_differences)
{
    char *out;
    REFUSED(tuff_checkpoint_differences(fixture.checkpoint, fixture.trainer, NULL));
    REFUSED_OUT(tuff_checkpoint_differences(NULL, fixture.trainer, &out), out);
    REFUSED_OUT(tuff_checkpoint_differences(fixture.checkpoint, NULL, &out), out);
}
CALLS_OF(tuff_trainer_resume)
{
    REFUSED(tuff_trainer_resume(NULL, fixture.checkpoint));
    REFUSED(tuff_trainer_resume(fixture.trainer, NULL));
}
CALLS_OF(tuff_checkpoint_find)
{
    char *out;
    REFUSED(tuff_checkpoint_find("x", 0, NULL));
    REFUSED_OUT(tuff_checkpoint_find(NULL, 0, &out), out);
}
CALLS_OF(tuff_checkpoint_step)
{
    assert_int_equal(tuff_checkpoint_step(NULL), -1);
}
CALLS_OF(tuff_checkpoint_remove)
{
    REFUSED(tuff_checkpoint_remove(NULL));
}
CALLS_OF(tuff_checkpoint_clean)
{
    tuff_checkpoint_clean(NULL);
}

#endif
