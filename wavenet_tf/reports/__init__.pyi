from wavenet_tf.reports.corpus_report import write_corpus_report as write_corpus_report
from wavenet_tf.reports.pictures import check_picture_path as check_picture_path
from wavenet_tf.reports.pictures import draw_curves as draw_curves
from wavenet_tf.reports.pictures import draw_recording_files as draw_recording_files
from wavenet_tf.reports.pictures import draw_recordings as draw_recordings
from wavenet_tf.reports.run_report import write_run_report as write_run_report
