from __future__ import annotations

import numpy as np

from vision2.pictures.episode_scores import scores_figure


def test_a_row_of_the_figure_has_the_shares_and_scores_of_one_query():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    figure = scores_figure(images, images, np.array([[0.0, -np.log(3)], [-np.log(4), 0.0]]))
    cells = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert cells == [[], [], [], [], ["75%\n0"], ["25%\n-1.1"], [], ["20%\n-1.39"], ["80%\n0"]]
