# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   language_info:
#     name: python
#   xiplab:
#     minutes: 3
# ---

# %% title [markdown]
# # Execute-in-place, from one byte up
#
# A program can use a file's bytes where they are stored, with no copy in between. This course shows how Linux
# did that, on a computer made of readable Python and real memory. You change bytes and see who notices.
#
# You need Python, and nothing of the inside of Linux. Each notebook asks one question and takes at most 45
# minutes. Run a cell with Shift+Enter.

# %% map
from xiplab.course.doctor import examine
from xiplab.course.overview import course_map, term_index
from xiplab.course.start import Experiment
from xiplab.widgets.storage import StorageView

course_map()

# %% map-words [markdown]
# ● says that you made every prediction of the notebook, ★ that its exercise is solved. ↻ says that it is time
# for its three questions again. Run the cell once more, and the map is up to date. Your progress is one file
# in your own folder; it is sent nowhere.

# %% try [markdown]
# ## Try this first
#
# The file `/lib/greeting` lies in a segment and on a disk, and three programs have mapped it. Click a byte of
# the **segment**, type a letter and press Enter. One of the three programs does not see it. Which one?

# %% try-picture
experiment = Experiment()
StorageView(experiment)

# %% try-check
experiment.reset()
experiment.store(0, ord("J"))
print(experiment.sentence())

# %% try-words [markdown]
# [Notebook 00](00_start.ipynb) explains what you saw.

# %% check [markdown]
# ## Is everything here?
#
# The next cell looks at your computer. Whatever it names can be put in place as the README says. The
# notebooks go on without it as far as they can.

# %% check-run
missing = [finding for finding in examine() if finding.needed and not finding.works]
print(*missing or ["All that the notebooks need is here."], sep="\n")

# %% terms [markdown]
# ## Terms
#
# Each term is explained where it first appears, and then always used in that sense.

# %% terms-run
term_index()
