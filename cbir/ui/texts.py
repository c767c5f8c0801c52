"""Every word that a person reads in the app, in every language it speaks.

Gradio translates what stands on its own components (`I18N`); what the server says follows the browser's first language
(`Words.of`). A new language is one more entry of `LANGUAGES` and of `NOUNS`. Names and explanations of similarity
methods live in their registry, in English; a language may translate them here.
"""

import re
from dataclasses import dataclass

import gradio as gr

LANGUAGES: dict[str, dict[str, str]] = {
    "en": {
        "title": "Apparel CBIR",
        "tagline": "Find clothes that look alike: start from a photo of yours, or from one of the catalogue.",
        "pictures": "{n} pictures",
        "photo": "Your photo",
        "photo_placeholder": "Drop a photo of a garment here\nor click to upload",
        "photo_alt": "the photo that is searched with",
        "random": "Random photo",
        "seed": "Seed",
        "match": "What should match",
        "match_type": "Type",
        "match_color": "Color",
        "match_both": "Type and color",
        "types": "Only these types",
        "colors": "Only these colors",
        "method": "Method",
        "k": "Number of results",
        "refine": "Refine",
        "weight": "Type or color: what counts more",
        "weight_info": "0 is type alone, 1 is color alone",
        "also": "Also",
        "other_colors": "Same type, other colors",
        "least_similar": "Least similar first",
        "hide_near_duplicates": "Hide near-duplicates",
        "crop": "Crop",
        "crop_info": "Click two opposite corners in the photo, or type left, top, right, bottom in percent.",
        "crop_clear": "Whole photo",
        "more": "More photos of the same search",
        "search": "Search",
        "results": "Results",
        "compare": "Compare methods",
        "map": "Map",
        "report": "How good is it?",
        "address": "Address",
        "bug": "Something went wrong on our side. The log has the details; please try again or report it.",
        "no_photo": "no photo: upload one, paste one, or press “Random photo” first",
        "not_uploaded": "image must be an uploaded file: pass gradio_client.handle_file(path)",
        "drawn": "These garments are drawings, shipped so that the app works at once.",
        "drawn_how": "Search your own photos",
        "drawn_photos": "Index a folder of photos and search it (labels are optional):",
        "drawn_train": "Or train on labelled photos, one folder per color_type, and serve the result:",
        "catalogue": "From the catalogue",
        "catalogue_facts": "{n} pictures · click one to search with it",
        "found": "The {n} closest",
        "found_far": "The {n} least similar",
        "found_to": "{found} to “{garment}”",
        "found_to_picture": "{found} to this picture",
        "nothing": "No picture fits these filters",
        "searched": "{n} pictures in {time}",
        "copy_link": "Copy link",
        "copied": "Copied",
        "csv": "Save as CSV",
        "json": "Save as JSON",
        "search_with": "Search with this",
        "close": "Close",
        "nothing_to_compare": "Search with a photo first: then all methods answer it here, side by side.",
        "map_facts": "{n} pictures; those that show the same lie side by side. Click one to search with it.",
        "map_query": "your query",
        "map_results": "its results",
        "map_label": "Map of the collection: a point for each picture, in its color",
    },
    "pt": {
        "title": "Apparel CBIR",
        "tagline": "Encontre roupas parecidas: comece por uma foto sua ou por uma do catálogo.",
        "pictures": "{n} imagens",
        "photo": "Sua foto",
        "photo_placeholder": "Solte aqui a foto de uma roupa\nou clique para enviar",
        "photo_alt": "a foto usada na busca",
        "random": "Foto ao acaso",
        "seed": "Semente",
        "match": "O que deve coincidir",
        "match_type": "Tipo",
        "match_color": "Cor",
        "match_both": "Tipo e cor",
        "types": "Só estes tipos",
        "colors": "Só estas cores",
        "method": "Método",
        "k": "Número de resultados",
        "refine": "Refinar",
        "weight": "Tipo ou cor: o que conta mais",
        "weight_info": "0 é só o tipo, 1 é só a cor",
        "also": "Também",
        "other_colors": "Mesmo tipo, outras cores",
        "least_similar": "Os menos parecidos primeiro",
        "hide_near_duplicates": "Esconder quase repetidos",
        "crop": "Recorte",
        "crop_info": "Clique em dois cantos opostos da foto, ou digite esquerda, topo, direita, base em porcentagem.",
        "crop_clear": "Foto inteira",
        "more": "Mais fotos na mesma busca",
        "search": "Buscar",
        "results": "Resultados",
        "compare": "Comparar métodos",
        "map": "Mapa",
        "report": "Qual a qualidade?",
        "address": "Endereço",
        "bug": "Algo deu errado do nosso lado. O registro tem os detalhes; tente de novo ou avise-nos.",
        "no_photo": "falta a foto: envie ou cole uma, ou clique antes em “Foto ao acaso”",
        "not_uploaded": "image deve ser um arquivo enviado: use gradio_client.handle_file(caminho)",
        "drawn": "Estas roupas são desenhos, incluídos para que o app funcione logo.",
        "drawn_how": "Busque nas suas fotos",
        "drawn_photos": "Indexe uma pasta de fotos e busque nela (rótulos são opcionais):",
        "drawn_train": "Ou treine com fotos rotuladas, uma pasta por color_type, e sirva o resultado:",
        "catalogue": "Do catálogo",
        "catalogue_facts": "{n} imagens · clique em uma para buscar com ela",
        "found": "Mais parecidos: {n}",
        "found_far": "Menos parecidos: {n}",
        "found_to": "{found} · “{garment}”",
        "found_to_picture": "{found} · esta imagem",
        "nothing": "Nenhuma imagem atende a estes filtros",
        "searched": "{n} imagens em {time}",
        "copy_link": "Copiar link",
        "copied": "Copiado",
        "csv": "Salvar CSV",
        "json": "Salvar JSON",
        "search_with": "Buscar com esta",
        "close": "Fechar",
        "nothing_to_compare": "Busque antes com uma foto: aqui todos os métodos respondem, lado a lado.",
        "map_facts": "{n} imagens; as que mostram o mesmo ficam próximas. Clique em uma para buscar com ela.",
        "map_query": "sua busca",
        "map_results": "seus resultados",
        "map_label": "Mapa da coleção: um ponto por imagem, na sua cor",
        "method.attributes_and_likeness": "Atributos e semelhança",
        "method.attributes_and_likeness.explanation": "Tipo e cor junto com a semelhança geral: entre as fotos que "
        "coincidem, as mais parecidas vêm primeiro.",
        "method.attribute_agreement": "Acordo de atributos",
        "method.attribute_agreement.explanation": "Quão provável é que as duas fotos mostrem o mesmo tipo e a mesma "
        "cor.",
        "method.cosine": "Cosseno",
        "method.cosine.explanation": "O ângulo entre as representações das duas fotos: semelhança geral, nada "
        "aprendido de roupas.",
        "method.inverse_euclidean": "Inverso da distância euclidiana",
        "method.inverse_euclidean.explanation": "1 / (1 + distância) das representações: semelhança geral, nada "
        "aprendido de roupas.",
        "method.logistic_regression": "Regressão logística de pares",
        "method.logistic_regression.explanation": "Um modelo linear de pares de fotos que aprendeu quais coincidem.",
        "method.random_forest": "Floresta aleatória de pares",
        "method.random_forest.explanation": "Árvores de decisão sobre pares de fotos que aprenderam quais coincidem.",
    },
}
I18N = gr.I18n(**LANGUAGES)

# Portuguese colors agree with the garment in gender and number.
_GENDERS = {"dress": "m", "pants": "f", "shirt": "f", "shoes": "mp", "shorts": "mp"}
NOUNS = {
    "pt": {
        **{"dress": "vestido", "pants": "calça", "shirt": "camisa", "shoes": "sapatos", "shorts": "shorts"},
        **{"black": "preto", "blue": "azul", "brown": "marrom", "green": "verde", "red": "vermelho", "white": "branco"},
    }
}


@dataclass(frozen=True)
class Words:
    """The words of one language; a word that it lacks is said in English."""

    language: str = "en"

    @staticmethod
    def of(request: gr.Request | None) -> "Words":
        """The language that the browser names first, as far as the app speaks it; else English."""
        header = request.headers.get("accept-language", "") if request else ""
        first = re.split(r"[-,;]", header.strip().lower())[0]
        return Words(first if first in LANGUAGES else "en")

    def __call__(self, key: str, **values: object) -> str:
        """The text of that key, with values filled in."""
        text = LANGUAGES[self.language].get(key) or LANGUAGES["en"][key]
        return text.format(**values) if values else text

    def number(self, n: int) -> str:
        """A whole number as one reads it, e.g. "4,803"."""
        return f"{n:,}".replace(",", "." if self.language == "pt" else ",")

    def noun(self, name: str) -> str:
        """A type or a color."""
        return NOUNS.get(self.language, {}).get(name, name)

    def garment(self, labels: dict[str, str]) -> str:
        """Labels as one says them, e.g. "blue shirt", "camisa azul"; empty when unknown."""
        color, type_ = labels.get("color", ""), labels.get("type", "")
        if self.language != "pt":
            return " ".join(filter(None, [color, type_]))
        return " ".join(filter(None, [self.noun(type_), _agreeing(self.noun(color), _GENDERS.get(type_, "m"))]))

    def method(self, name: str, english: str) -> str:
        """The name of a similarity method, which the registry has in English."""
        return LANGUAGES[self.language].get(f"method.{name}", english)

    def explanation(self, name: str, english: str) -> str:
        """The line that explains a similarity method."""
        return LANGUAGES[self.language].get(f"method.{name}.explanation", english)

    def duration(self, seconds: float) -> str:
        """A time, e.g. "0.4 ms", "41 ms" or "1.2 s"."""
        text = f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f} ms"
        return text.replace(".", ",") if self.language == "pt" else text


def _agreeing(color: str, gender: str) -> str:
    if color.endswith("o") and gender.startswith("f"):
        color = color[:-1] + "a"
    if gender.endswith("p") and color:
        return {"azul": "azuis", "marrom": "marrons"}.get(color, color + "s")
    return color
