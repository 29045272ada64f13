# Each line is the same as `python3 course.py NAME`, which needs no make.
.PHONY: lab test setup doctor
lab test setup doctor:
	@python3 course.py $@
