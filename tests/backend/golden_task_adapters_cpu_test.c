#include "kit/golden.h"

int main(void)
{
    return task_adapters_main("cpu");
}
