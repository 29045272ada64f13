# wild: a store to where nothing is mapped.

        .globl  _start
_start: lghi    %r1,8192
        stg     %r1,0(%r1)
        .section .note.GNU-stack,"",@progbits
