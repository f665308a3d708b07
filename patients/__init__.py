"""Who and when: sites, memberships, patients, studies, series, instances; DICOM in."""
