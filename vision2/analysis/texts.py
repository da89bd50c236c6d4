"""The words of tables, figures and pages: written in English where they are used, with their Spanish here."""

from __future__ import annotations

from typing import Protocol

from vision2.basics.errors import UserError


class Say(Protocol):
    def __call__(self, text: str, **values: object) -> str: ...


def speaker(language: str) -> Say:
    """A function that says an English text, with its {gaps} filled, in `language` ("en" or "es").

    Raises:
        UserError: for another language.
    """
    if language not in ("en", "es"):
        raise UserError(f"report.language is '{language}', it must be en or es")

    def say(text: str, **values: object) -> str:
        text = text if language == "en" else SPANISH[text]
        return text.format(**values) if values else text

    return say


SPANISH = {
    # table headings
    "configuration": "configuración",
    "test accuracy": "exactitud en test",
    "val accuracy": "exactitud en validación",
    "train accuracy": "exactitud en entrenamiento",
    "test balanced accuracy": "exactitud balanceada en test",
    "test macro F1": "F1 macro en test",
    "test loss": "pérdida en test",
    "parameters": "parámetros",
    "multiply-adds": "multiplicaciones-sumas",
    "seconds": "segundos",
    "images/s": "imágenes/s",
    "peak memory MB": "memoria máxima MB",
    "failed": "fallidas",
    "run": "corrida",
    "reason": "motivo",
    "stage": "etapa",
    "learning": "aprenden",
    "batch-norm": "batch-norm",
    "learning rate": "tasa de aprendizaje",
    "image": "imagen",
    "true": "verdadera",
    "predicted": "predicha",
    "confidence": "confianza",
    "item": "dato",
    "value": "valor",
    "comparison": "comparación",
    "difference": "diferencia",
    "95 % interval": "intervalo del 95 %",
    "pairs": "pares",
    "verdict": "veredicto",
    # claim and verdict
    "The claim": "La afirmación",
    "supported": "respaldada",
    "contradicted": "contradicha",
    "inconclusive": "no concluyente",
    "The runs support the claim.": "Las corridas respaldan la afirmación.",
    "The runs contradict the claim.": "Las corridas contradicen la afirmación.",
    "The runs do not decide the claim.": "Las corridas no alcanzan para decidir.",
    "Source: {source}": "Fuente: {source}",
    "What this cannot show: {note}": "Lo que esto no puede mostrar: {note}",
    "How to read it: runs are paired by seed; the interval is Student's 95 % interval of the mean paired difference. A claim is "
    "supported only when every comparison's whole interval lies on the claimed side, contradicted when one lies on the other "
    "side (at a level corrected for the number of comparisons), and inconclusive otherwise.": "Cómo leerlo: las corridas se "
    "aparean por semilla; el intervalo es el de Student, del 95 %, de la diferencia media entre pares. La afirmación está "
    "respaldada solo si el intervalo entero de cada comparación queda del lado afirmado, contradicha si alguno queda del otro "
    "lado (con un nivel corregido por la cantidad de comparaciones), y si no, no es concluyente.",
    "These runs belong to no single experiment, so there is no claim to judge.": "Estas corridas no pertenecen a un único "
    "experimento, así que no hay una afirmación que juzgar.",
    "This experiment states no comparison, so there is nothing to judge by numbers.": "Este experimento no plantea "
    "comparaciones, así que no hay nada que juzgar con números.",
    "{metric} of {a} is higher than of {b}": "{metric} de {a} es mayor que de {b}",
    "{metric} of {a} is lower than of {b}": "{metric} de {a} es menor que de {b}",
    "margin {margin}": "margen {margin}",
    "the interval includes the margin": "el intervalo incluye el margen",
    "the interval includes zero": "el intervalo incluye el cero",
    "one pair only: another seed could turn it": "un solo par: otra semilla podría darlo vuelta",
    "no pair of runs to compare": "no hay ningún par de corridas para comparar",
    "the seed changed nothing, so the pairs are one observation": "la semilla no cambió nada: los pares son una sola observación",
    "test-image noise only: {low} to {high}": "solo ruido de las imágenes de test: {low} a {high}",
    "without a partner: {runs}": "sin pareja: {runs}",
    # sections
    "Results": "Resultados",
    "Mean over seeds ± standard deviation [95 % interval], n runs each. A single run has no interval over seeds.": "Media sobre "
    "las semillas ± desvío estándar [intervalo del 95 %], n corridas cada una. Una sola corrida no tiene intervalo.",
    "Points are single runs, bars 95 % intervals over seeds.": "Los puntos son corridas; las barras, intervalos del 95 % sobre "
    "semillas.",
    "Accuracy against {key}": "Exactitud según {key}",
    "Runs that failed or could not be read": "Corridas que fallaron o no se pudieron leer",
    "Every run was completed and read.": "Todas las corridas terminaron y se leyeron.",
    "Older runs of the same configuration and seed, left out: {runs}": "Corridas anteriores de la misma configuración y "
    "semilla, dejadas afuera: {runs}",
    "Learning curves": "Curvas de aprendizaje",
    "Solid: validation, dashed: training; bands from the lowest to the highest seed.": "Línea llena: validación; cortada: "
    "entrenamiento; las bandas van de la semilla más baja a la más alta.",
    "Loss": "Pérdida",
    "Accuracy": "Exactitud",
    "epoch": "época",
    "loss": "pérdida",
    "accuracy": "exactitud",
    "Gradient norm by depth": "Norma del gradiente según la profundidad",
    "Norm of the gradient of each stage, from input to output. Solid: first epoch, dashed: last.": "Norma del gradiente de cada "
    "etapa, de la entrada a la salida. Línea llena: primera época; cortada: última.",
    "gradient norm": "norma del gradiente",
    "input → output": "entrada → salida",
    "Accuracy against cost": "Exactitud según el costo",
    "Cost of one image (multiply-adds), of the network (parameters) and of the run (seconds).": "Costo de una imagen "
    "(multiplicaciones-sumas), de la red (parámetros) y de la corrida (segundos).",
    "multiply-adds (millions)": "multiplicaciones-sumas (millones)",
    "parameters (millions)": "parámetros (millones)",
    "Classes": "Clases",
    "Rows are the true class; colour is the share of the row; counts are summed over seeds.": "Las filas son la clase verdadera; "
    "el color, la proporción de la fila; las cantidades se suman sobre las semillas.",
    "F1 of each class": "F1 de cada clase",
    "the {count} lowest classes": "las {count} clases más bajas",
    "Calibration": "Calibración",
    "A calibrated network is right as often as it is sure: on the diagonal. ECE is the mean distance from it.": "Una red "
    "calibrada acierta con la frecuencia de su confianza: está sobre la diagonal. ECE es la distancia media a ella.",
    "Mistakes": "Errores",
    "Test images of the best run of each configuration. Above each: true → predicted class, how sure it was, and the probability "
    "it gave the truth.": "Imágenes de test de la mejor corrida de cada configuración. Arriba de cada una: clase verdadera → "
    "predicha, cuán segura estaba, y la probabilidad que le dio a la verdadera.",
    "{label}: most confident mistakes": "{label}: errores con más confianza",
    "{label}: worst of the other mistakes (highest loss)": "{label}: peores entre los demás errores (mayor pérdida)",
    "Where the networks look": "Dónde miran las redes",
    "Grad-CAM (Selvaraju et al. 2017): each image, the map of the predicted class, and the map of the true class.": "Grad-CAM "
    "(Selvaraju et al. 2017): cada imagen, el mapa de la clase predicha y el mapa de la verdadera.",
    "{label}: Grad-CAM": "{label}: Grad-CAM",
    "First-layer filters": "Filtros de la primera capa",
    "Each filter is stretched over its own range of values.": "Cada filtro está estirado sobre su propio rango de valores.",
    "{label}: filters": "{label}: filtros",
    "What was trained": "Qué se entrenó",
    "frozen": "congelada",
    "{rate} from epoch {epoch}": "{rate} desde la época {epoch}",
    "What differs between the configurations": "En qué difieren las configuraciones",
    "The other settings are the same in all runs and stand in each run's config.yaml.": "Las demás opciones son iguales en todas "
    "las corridas y están en el config.yaml de cada una.",
    "All runs have the same configuration apart from the seed.": "Todas las corridas tienen la misma configuración, salvo la "
    "semilla.",
    "Environment": "Entorno",
    "How to make it again": "Cómo repetirlo",
    "The exact command of each run:": "El comando exacto de cada corrida:",
    "… and {count} more, each in its run's summary.json": "… y {count} más, cada uno en el summary.json de su corrida",
    "This page again:": "Esta página de nuevo:",
    # the page
    "{completed} runs completed, {failed} failed, {unread} unreadable; made {date}": "{completed} corridas terminadas, {failed} "
    "fallidas, {unread} ilegibles; hecha el {date}",
    "Runs of {folder}": "Corridas de {folder}",
    "Shown: the {count} best of {all} configurations. The table has all of them.": "Se muestran las {count} mejores de {all} "
    "configuraciones. La tabla las tiene todas.",
    "page: {path}": "página: {path}",
}
