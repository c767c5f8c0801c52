"""Every word that a person reads in the app, in every language it speaks.

Gradio translates what stands on its own components (`I18N`); what the server says follows the browser's first language
(`Words.of`). A new language is one more entry of `LANGUAGES` and of `NOUNS`. Names and explanations of similarity
methods live in their registry, in English; a language may translate them here.
"""

import re
from dataclasses import dataclass

import gradio as gr

from cbir.explain import Evidence

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
        "unsure": "No confident match",
        "unsure_facts": "the {n} nearest are shown all the same",
        "searched": "{n} pictures in {time}",
        "copy_link": "Copy link",
        "copied": "Copied",
        "csv": "Save as CSV",
        "json": "Save as JSON",
        "search_with": "Search with this",
        "close": "Close",
        "nothing_to_compare": "Search with a photo first: then all methods answer it here, side by side.",
        "compare_by": "Judged by what the query shows: {garments}.",
        "compare_guess": "Judged by what the query most probably shows: {garments}.",
        "agrees_count": "{n} of {of} agree",
        "agrees": "agrees",
        "agreement": "How far two methods agree",
        "agreement_facts": "Share of results that both found, and rank-biased overlap (the first ranks count most).",
        "no_score": "not judged",
        "same_type": "Same type",
        "same_color": "Same color",
        "both_look": "both look like {query}",
        "look_different": "yours looks like {query}, this one like {item}",
        "likely_95": "almost certainly",
        "likely_80": "very probably",
        "likely_60": "probably",
        "likely_40": "perhaps",
        "likely_20": "probably not",
        "likely_0": "almost certainly not",
        "because": "{same}: {likely} ({percent}), {shown}.",
        "likeness": "General likeness (cosine of the embeddings): {value}",
        "heat_query": "your photo",
        "heat_item": "this result",
        "heat_facts": "Orange regions make the two alike; they add up to the likeness.",
        "heat_roughly": "Orange regions make the two alike, approximately.",
        "heat_thumbnail": "The catalogue keeps small pictures, which the regions of this result were found in.",
        "map_facts": "{n} pictures; those that show the same lie side by side. Click one to search with it.",
        "map_query": "your query",
        "map_results": "its results",
        "map_label": "Map of the collection: a point for each picture, in its color",
        "report_intro": "Methods were fitted on {n_train} photos and judged on {n_test} others (split by image, near "
        "duplicates on one side, seed {seed}). In brackets: 95 % intervals, bootstrap over photos ({n_replicates}).",
        "report_drawn": "This catalogue is drawn, hence easy: see below for photos.",
        "report_pairs": "Do scores tell pairs that match from others?",
        "report_pairs_how": "Pearson correlation of score and label, on pairs of photos that no method was fitted on.",
        "report_published": "published",
        "report_pooled": "pooled",
        "report_pairs_n": "{n} pairs",
        "report_ceiling": "A perfect score that is not told which label is asked for would reach {value}.",
        "report_retrieval": "Are the first ten results right?",
        "report_retrieval_how": "{n_test} photos search {n_train} others. Precision of the first 10 results (P@10), "
        "and mean average precision (mAP).",
        "report_elsewhere": "Photos from elsewhere",
        "report_elsewhere_how": "P@10 of {n} photos ({queries}) that search: {gallery}.",
        "report_curves": "Precision and recall",
        "report_recall": "recall",
        "report_precision": "precision",
        "report_scores": "Scores and probabilities",
        "report_scores_how": "Left: scores of pairs with the same label and with different ones. Right, for methods "
        "whose score is a probability: of the pairs with such a score, this share has the same label; a perfect method "
        "lies on the line.",
        "report_score": "score",
        "report_share": "share of pairs",
        "report_same": "same label",
        "report_different": "different label",
        "report_confusion": "What is taken for what",
        "report_confusion_how": "Rows: what photos show; columns: what they are most probably taken for.",
        "report_queries": "Best and worst queries",
        "report_best": "Best",
        "report_worst": "Worst",
        "report_query": "query",
        "report_relevant": "relevant",
        "report_level": "When the app says “no confident match”",
        "report_level_how": "Familiarity of photos of clothes, and of pictures without clothes (synthetic). Below "
        "{level} a photo is unfamiliar: that holds for {rejects} of the pictures without clothes, and {passes} of the "
        "photos of clothes pass. A probability below {score} is no confident match either.",
        "report_familiarity": "familiarity",
        "report_share_photos": "share of pictures",
        "report_clothes": "photos of clothes",
        "report_not_clothes": "no clothes",
        "report_naive": "How published figures of .72 can come about",
        "report_notes": "Notes",
        "report_none": "The methods of this bundle were not judged: its report is missing.",
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
        "unsure": "Nenhum resultado confiável",
        "unsure_facts": "as {n} mais próximas são mostradas mesmo assim",
        "compare_by": "Julgado pelo que a busca mostra: {garments}.",
        "compare_guess": "Julgado pelo que a busca provavelmente mostra: {garments}.",
        "agrees_count": "{n} de {of} coincidem",
        "agrees": "coincide",
        "agreement": "Quanto dois métodos concordam",
        "agreement_facts": "Parte dos resultados que ambos encontram, e sobreposição ponderada pela ordem (as "
        "primeiras posições contam mais).",
        "no_score": "não julgado",
        "same_type": "Mesmo tipo",
        "same_color": "Mesma cor",
        "both_look": "ambas parecem: {query}",
        "look_different": "a sua parece: {query}; esta parece: {item}",
        "likely_95": "quase com certeza",
        "likely_80": "muito provavelmente",
        "likely_60": "provavelmente",
        "likely_40": "talvez",
        "likely_20": "provavelmente não",
        "likely_0": "quase com certeza não",
        "likeness": "Semelhança geral (cosseno das representações): {value}",
        "heat_query": "a sua foto",
        "heat_item": "este resultado",
        "heat_facts": "As regiões em laranja tornam as duas parecidas; somadas, dão a semelhança.",
        "heat_roughly": "As regiões em laranja tornam as duas parecidas, aproximadamente.",
        "heat_thumbnail": "O catálogo guarda imagens pequenas, nas quais se acharam as regiões deste resultado.",
        "report_intro": "Os métodos foram ajustados em {n_train} fotos e julgados em outras {n_test} (divisão por "
        "imagem, quase duplicatas do mesmo lado, semente {seed}). Entre parênteses: intervalos de 95 %, bootstrap "
        "sobre fotos ({n_replicates}).",
        "report_drawn": "Este catálogo é desenhado, portanto fácil: veja abaixo para fotos.",
        "report_pairs": "As notas distinguem os pares que combinam dos outros?",
        "report_pairs_how": "Correlação de Pearson entre nota e rótulo, em pares de fotos nas quais nenhum método foi "
        "ajustado.",
        "report_published": "publicado",
        "report_pooled": "juntos",
        "report_pairs_n": "{n} pares",
        "report_ceiling": "Uma nota perfeita que não sabe qual rótulo se pede chegaria a {value}.",
        "report_retrieval": "Os dez primeiros resultados estão certos?",
        "report_retrieval_how": "{n_test} fotos buscam entre {n_train} outras. Precisão dos 10 primeiros (P@10) e "
        "precisão média (mAP).",
        "report_elsewhere": "Fotos de outra origem",
        "report_elsewhere_how": "P@10 de {n} fotos ({queries}) que buscam em: {gallery}.",
        "report_curves": "Precisão e revocação",
        "report_recall": "revocação",
        "report_precision": "precisão",
        "report_scores": "Notas e probabilidades",
        "report_scores_how": "À esquerda: notas de pares com o mesmo rótulo e com rótulos diferentes. À direita, para "
        "métodos cuja nota é uma probabilidade: dos pares com tal nota, esta parte tem o mesmo rótulo; um método "
        "perfeito fica sobre a linha.",
        "report_score": "nota",
        "report_share": "parte dos pares",
        "report_same": "mesmo rótulo",
        "report_different": "rótulos diferentes",
        "report_confusion": "O que se toma por quê",
        "report_confusion_how": "Linhas: o que as fotos mostram; colunas: pelo que provavelmente são tomadas.",
        "report_queries": "As melhores e as piores buscas",
        "report_best": "Melhores",
        "report_worst": "Piores",
        "report_query": "busca",
        "report_relevant": "relevante",
        "report_level": "Quando o aplicativo diz “nenhum resultado confiável”",
        "report_level_how": "Familiaridade de fotos de roupas e de imagens sem roupas (sintéticas). Abaixo de {level} "
        "uma foto é estranha: isso vale para {rejects} das imagens sem roupas, e {passes} das fotos de roupas passam. "
        "Uma probabilidade abaixo de {score} também não é um resultado confiável.",
        "report_familiarity": "familiaridade",
        "report_share_photos": "parte das imagens",
        "report_clothes": "fotos de roupas",
        "report_not_clothes": "sem roupas",
        "report_naive": "Como podem surgir números publicados de 0,72",
        "report_notes": "Notas (em inglês)",
        "report_none": "Os métodos deste conjunto não foram julgados: falta o relatório.",
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
        "method.attributes_and_likeness.explanation": "Tipo e cor junto com a semelhança geral, nas proporções que "
        "pares de fotos ensinaram.",
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

    def decimal(self, value: float | None, digits: int = 3) -> str:
        """A number as one reads it, e.g. "0.721"; a dash for none."""
        return "–" if value is None else f"{value:.{digits}f}".replace(".", "," if self.language == "pt" else ".")

    def percent(self, share: float | None) -> str:
        """A share, e.g. "93 %"; a dash for none."""
        return "–" if share is None else f"{100 * share:.0f} %"

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

    def because(self, label: str, evidence: Evidence) -> str:
        """Whether a query and an item agree, e.g. "Same type: almost certainly (97 %), both look like shirt."."""
        level = next(percent for percent in (95, 80, 60, 40, 20, 0) if 100 * evidence.agreement >= percent)
        names = {"query": self.noun(evidence.query), "item": self.noun(evidence.item)}
        return self(
            "because",
            same=self(f"same_{label}"),
            likely=self(f"likely_{level}"),
            percent=self.percent(evidence.agreement),
            shown=self("both_look" if evidence.query == evidence.item else "look_different", **names),
        )

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
