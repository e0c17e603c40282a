#include "kit/golden.h"

int main(void)
{
    return tasks_main("lavapipe");
}
