#include "kit/golden.h"

int main(void)
{
    return settings_main("lavapipe");
}
