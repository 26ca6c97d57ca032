"""One reader per public data set."""

from datasets.sources import (
    covid_19_20,
    covid_ct_seg,
    covid_qu_ex,
    covid_semiseg,
    kaggle_lesions,
    kaggle_medseg,
    medseg_slices,
    medseg_volumes,
    mosmed,
    qata_cov19,
    uestc,
    xray_covid,
    xray_lungs,
)
from datasets.sources.source import Source

SOURCES: dict[str, Source] = {
    source.facts.name: source
    for source in (
        covid_ct_seg.SOURCE,
        medseg_slices.SOURCE,
        medseg_volumes.SOURCE,
        kaggle_medseg.SOURCE,
        mosmed.SOURCE,
        uestc.SOURCE,
        covid_19_20.SOURCE,
        *covid_semiseg.SOURCES,
        kaggle_lesions.SOURCE,
        xray_covid.SOURCE,
        covid_qu_ex.SOURCE,
        qata_cov19.SOURCE,
        xray_lungs.SOURCE,
    )
}
