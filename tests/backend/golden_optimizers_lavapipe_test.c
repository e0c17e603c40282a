#include "kit/golden.h"

int main(void)
{
    return optimizers_main("lavapipe");
}
