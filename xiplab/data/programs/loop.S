# loop: for ever.

        .globl  _start
_start: j       _start
        .section .note.GNU-stack,"",@progbits
