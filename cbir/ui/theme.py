"""The look of Gradio's own components; `style.css` has the rest."""

import gradio as gr


def theme() -> gr.themes.Base:
    """Calm and neutral, so that the garments are the only color; system fonts, so that nothing is fetched."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_lg,
        font=["ui-sans-serif", "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_600",
        block_title_text_color="*neutral_700",
        color_accent="*primary_600",
        slider_color="*primary_600",
        checkbox_background_color_selected="*primary_600",
        checkbox_border_color_selected="*primary_600",
        checkbox_label_background_fill="*background_fill_primary",
        checkbox_label_background_fill_hover="*background_fill_secondary",
        checkbox_label_background_fill_selected="*primary_50",
        checkbox_label_background_fill_selected_dark="*primary_950",
        checkbox_label_border_width="1px",
        checkbox_label_border_color_selected="*primary_600",
        checkbox_label_background_fill_dark="*background_fill_primary",
        checkbox_label_background_fill_hover_dark="*neutral_800",
        checkbox_label_border_color_dark="*neutral_700",
        checkbox_label_border_color_selected_dark="*primary_500",
        button_secondary_background_fill_dark="*background_fill_primary",
        button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color_dark="*neutral_700",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        button_secondary_background_fill="*background_fill_primary",
        button_secondary_border_color="*neutral_300",
        button_border_width="1px",
        button_primary_background_fill="*neutral_900",
        button_primary_background_fill_hover="*neutral_700",
        button_primary_text_color="white",
        button_primary_background_fill_dark="*neutral_100",
        button_primary_background_fill_hover_dark="white",
        button_primary_text_color_dark="*neutral_900",
    )
