#include "textflag.h"

TEXT ·exchange(SB), NOSPLIT|NOFRAME, $0
	XCHGQ R8, AX
	INCQ  R9
	RET

TEXT ·check(SB), NOSPLIT, $8-8
	MOVQ  $1, AX
	MOVQ  $2, R8
	CALL  ·exchange(SB)
	IMULQ $10, AX
	ADDQ  R8, AX
	MOVQ  AX, ret+0(FP)
	RET
